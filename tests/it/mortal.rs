//! A process that dies of a record, for suites that kill so; the suite with a broker has it from here.

use fenghuo::engine::input::Input;
use fenghuo::engine::province::Province;
use fenghuo::runtime::pipeline::Stepped;
use fenghuo::runtime::run::Watch;

/// Dies like an overflown stack when it sees a record.
pub(crate) struct Mortal {
    /// What stands in the records that it dies of.
    pub(crate) of: Vec<String>,
}

impl Watch for Mortal {
    fn stepped(&self, _: &Province, stepped: &Stepped) {
        for input in &stepped.commit.inputs {
            if let Input::Event(event) = input {
                let event = format!("{event:?}");
                if self.of.iter().any(|deadly| event.contains(deadly)) {
                    std::process::abort();
                }
            }
        }
    }
}
