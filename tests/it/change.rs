//! Another rule set comes into force: a restart at any place of the journal comes to the same state, and subjects at rest are told
//! the same.

use crate::rollout::{complaint, rule, told};
use crate::support::project;
use fenghuo::engine::cold::{Attic, Place, Resting};
use fenghuo::engine::event::Event;
use fenghuo::engine::input::{Alone, Globals, Input, Outcome};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::{RuleSet, RuleSources};
use fenghuo::engine::shard::Shard;
use fenghuo::runtime::attempt::Attempts;
use fenghuo::runtime::bundle;
use fenghuo::runtime::journal::{FORMAT, Head, put_head, read_changes, read_head};
use fenghuo::runtime::keeper::{Commit, Keeper, RUN_BYTES_MAX};
use fenghuo::runtime::pipeline::Pipeline;
use fenghuo::runtime::recover::{Together, recover};
use fenghuo::runtime::spill::Spill;
use fenghuo::runtime::store::{Batch, MemoryStore, Store};
use std::sync::Arc;

/// Complaints of a part of the story, by day and firm.
const PARTS: [&[(i32, u8)]; 4] = [
    &[(1, 1), (2, 1), (3, 2), (4, 1), (5, 3)],
    &[(6, 2), (7, 2), (8, 1)],
    &[(9, 3), (10, 3), (11, 1), (12, 2)],
    &[(40, 1), (41, 2), (42, 2)],
];

fn sources(files: Vec<(String, String)>) -> RuleSources {
    let shipped = bundle::rules_in(&project("rules")).unwrap();
    RuleSources { files, ..shipped }
}

/// The rules of each part: one comes with the past, one says other things of itself, one goes, and all are as at first.
fn rules() -> [RuleSources; 4] {
    let first = || rule("XX-001", "", "30d", 2);
    let second = |more: &str| rule("XX-002", more, "60d", 3);
    let filled = rule("XX-003", "fill: \"30d\"", "30d", 1);
    [
        sources(vec![first(), second("")]),
        sources(vec![first(), second("cooldown: \"5d\""), filled.clone()]),
        sources(vec![second("cooldown: \"5d\""), filled]),
        sources(vec![first(), second("")]),
    ]
}

fn loaded(sources: &RuleSources) -> Arc<RuleSet> {
    Arc::new(RuleSet::load(sources).unwrap_or_else(|found| panic!("{}", found[0])))
}

fn inputs_of(part: usize) -> (Vec<Input>, Vec<Prepared>) {
    let first = part * 100;
    let events = (first..).zip(PARTS[part]);
    let events: Vec<Event> = events.map(|(n, day)| complaint(n, *day)).collect();
    let prepared: Vec<Prepared> = events.into_iter().map(Prepared::new).collect();
    let of = |one: &Prepared| Input::Event(Arc::clone(&one.event));
    (prepared.iter().map(of).collect(), prepared)
}

/// All that a province keeps.
fn kept(province: &Province) -> (Globals, Vec<Vec<u8>>, String) {
    let subjects = province.shards().iter().flat_map(Shard::subjects);
    let mut subjects: Vec<Vec<u8>> = subjects.map(|subject| subject.to_bytes()).collect();
    subjects.sort();
    let items: Vec<_> = province.desk().items().collect();
    (province.globals.clone(), subjects, format!("{items:?}"))
}

/// When images are written: with which part; and whether they are whole only a commit later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Imaged(usize, bool);

/// Goes through the story with a store, and recovers after every commit.
fn go_through(imaged: Option<Imaged>) -> Vec<String> {
    let rules = rules();
    let province = Province::new(loaded(&rules[0]), 2);
    let mut pipeline = Pipeline::new(province, (Vec::new(), Attempts::none()), Vec::new());
    let head = Head {
        format: FORMAT,
        shards: 2,
        ..Head::default()
    };
    let store = Box::new(MemoryStore::default());
    let mut keeper = Keeper::new(store, head, Vec::new(), &[]).unwrap();
    let mut said = Vec::new();
    let check = |keeper: &Keeper, province: &Province, place: &str| {
        let again = recover(keeper.store(), usize::MAX)
            .unwrap()
            .expect("a state")
            .province;
        assert_eq!(kept(&again), kept(province), "{imaged:?}, {place}");
        assert_eq!(again.set().hash(), province.set().hash());
    };
    for (part, sources) in rules.iter().enumerate() {
        let set = loaded(sources);
        let outcome = if part == 0 {
            Outcome::default()
        } else {
            pipeline.province.change_rules(&set, &Alone)
        };
        said.extend(told(&outcome));
        let commit = Pipeline::adopt(set.hash(), sources.clone(), &outcome);
        keeper.commit(commit).unwrap();
        check(&keeper, &pipeline.province, &format!("rules {part}"));
        let (inputs, prepared) = inputs_of(part);
        let outcome = pipeline.province.step(&inputs, &prepared, &Alone);
        said.extend(told(&outcome));
        let mut commit = Commit {
            inputs,
            ..Commit::default()
        };
        if let Some(Imaged(_, is_slow)) = imaged.filter(|imaged| imaged.0 == part) {
            let mut images = pipeline.checkpoint();
            if is_slow {
                // So much that the first commit has no room for anything else.
                images.blocks.push_front((b'x', vec![0; RUN_BYTES_MAX]));
            }
            commit.images = Some(images);
        }
        keeper.commit(commit).unwrap();
        let is_slow = imaged == Some(Imaged(part, true));
        assert_eq!(keeper.is_imaging(), is_slow);
        check(&keeper, &pipeline.province, &format!("part {part}"));
    }
    keeper.idle().unwrap();
    check(&keeper, &pipeline.province, "the end");
    // Changes before the images are let go of with the journal.
    let changes = read_changes(keeper.store()).unwrap().len();
    let before = imaged.map_or(0, |imaged| imaged.0);
    assert_eq!(changes, 3 - before, "{imaged:?}");
    said
}

#[test]
fn a_restart_comes_to_the_same_wherever_rules_changed() {
    let said = go_through(None);
    assert!(said.iter().any(|line| line == "XX-001 ended"), "{said:?}");
    let slow = [false, true];
    let all = (0..PARTS.len()).flat_map(|part| slow.map(|is_slow| Imaged(part, is_slow)));
    for imaged in all {
        assert_eq!(go_through(Some(imaged)), said);
    }
}

/// Takes every other subject.
#[derive(Debug, Default)]
struct Fussy {
    places: Vec<Option<Vec<u8>>>,
    asked: usize,
}

impl Attic for Fussy {
    fn put(&mut self, bytes: &[u8]) -> Option<Place> {
        self.asked += 1;
        self.asked.is_multiple_of(2).then(|| {
            self.places.push(Some(bytes.to_vec()));
            Place(u64::try_from(self.places.len()).unwrap() - 1)
        })
    }

    fn get(&self, place: Place) -> Vec<u8> {
        self.places[usize::try_from(place.0).unwrap()]
            .clone()
            .unwrap()
    }

    fn free(&mut self, place: Place) {
        let bytes = self.places[usize::try_from(place.0).unwrap()].take();
        assert!(bytes.is_some(), "a place is given back once");
    }
}

#[test]
fn subjects_at_rest_are_told_the_same() {
    let rules = rules();
    let dir = tempfile::tempdir().unwrap();
    let go = |warm_max: usize, lend: &dyn Fn(&mut Province)| {
        let mut province = Province::new(loaded(&rules[0]), 2);
        lend(&mut province);
        province.set_warm_max(warm_max);
        let mut said = Vec::new();
        let mut changed = Vec::new();
        for (part, sources) in rules.iter().enumerate() {
            if part != 0 {
                let before = province.resting().count();
                let outcome = province.change_rules(&loaded(sources), &Together);
                changed.extend(told(&outcome));
                // Who was looked at rests again.
                assert_eq!(province.resting().count(), before);
            }
            let (inputs, prepared) = inputs_of(part);
            said.extend(told(&province.step(&inputs, &prepared, &Alone)));
            province.set_warm_max(warm_max);
        }
        (said, changed, kept(&province), province.resting())
    };
    let ready = go(usize::MAX, &|_| {});
    assert_eq!(ready.3, Resting::default());
    let here = go(0, &|_| {});
    assert_eq!((here.3.here, here.3.away), (3, 0));
    let away = go(0, &|province| Spill::beside(dir.path()).lend(province));
    assert_eq!((away.3.here, away.3.away, away.3.refused), (0, 3, 0));
    assert!((100..2_000).contains(&away.3.away_bytes), "{:?}", away.3);
    let some = go(0, &|province| {
        province.set_attics(|| Box::new(Fussy::default()));
    });
    assert!(some.3.count() == 3 && 2 < some.3.refused, "{:?}", some.3);
    for resting in [here, away, some] {
        assert_eq!(
            (&ready.0, &ready.1, &ready.2),
            (&resting.0, &resting.1, &resting.2)
        );
    }
    assert!(
        ready.1.contains(&"XX-001 ended".to_owned()),
        "{:?}",
        ready.1
    );
}

#[test]
fn states_of_the_format_before_are_read() {
    for (format, is_read) in [(4, false), (5, true), (6, true), (7, false)] {
        let mut store = MemoryStore::default();
        let head = Head {
            format,
            ..Head::default()
        };
        let mut batch = Batch::new();
        put_head(&mut batch, &store, &head).unwrap();
        store.commit(&batch).unwrap();
        let read = read_head(&store).ok().flatten().map(|head| head.format);
        assert_eq!(read, is_read.then_some(FORMAT), "format {format}");
    }
}
