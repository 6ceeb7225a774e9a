//! Through a real broker beside the embedded mode, the same records and 100 rules in both: how long from handing a record over
//! to its warning's arrival, at a steady rate; records a second at full speed; records of the state log a second when the
//! state is made again.
//!
//! Needs what `.ci/kafka` needs (Java 17, the jars: `tests/kafka/broker libs`). Two stages, four partitions and the broker share
//! the machine. `FENGHUO_BENCH_RATE` (5000) records a second for `FENGHUO_BENCH_SECONDS` (20), `FENGHUO_BENCH_EVENTS` (200000) at full
//! speed: `cargo bench --bench broker`.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "measures real time, of processes that are not this one"
)]

use fenghuo::runtime::bundle;
use fenghuo::runtime::clock::Clock;
use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

type Failed = Box<dyn Error + Send + Sync>;

const PARTITIONS: i32 = 4;
/// One record in so many raises a warning.
const SIGN_EVERY: u64 = 100;
/// Records handed over at once, and how often, at the steady rate.
const TICK: Duration = Duration::from_millis(10);

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The shipped rules four times over, but for those about collectives, which a cluster refuses.
fn rules(dir: &Path) -> Result<(), Failed> {
    bundle::write_shipped(dir)?;
    for (path, text) in bundle::shipped_rules().files {
        let id = text
            .split("id:")
            .nth(1)
            .and_then(|rest| rest.split('"').nth(1));
        let id = id.unwrap_or_default();
        for copy in 1..4 {
            let text = text.replacen(&format!("\"{id}\""), &format!("\"{id}-{copy}\""), 1);
            let path = path.replace(".rhai", &format!("_{copy}.rhai"));
            std::fs::write(dir.join("rules").join(path), text)?;
        }
    }
    for line in ["region", "department"] {
        std::fs::remove_dir_all(dir.join("rules").join(line))?;
    }
    let connector = "id = \"bench\"\ntitle = \"测速\"\nagency = \"测速\"\nstream = \"inspection\"\nformat = \"canonical\"\n";
    std::fs::write(dir.join("connectors/bench.toml"), connector)?;
    Ok(())
}

/// An inspection of a firm of its own; one in [`SIGN_EVERY`] is refused, which rule JC-003 warns of.
fn record(number: u64, now: &str) -> String {
    let result = if number.is_multiple_of(SIGN_EVERY) {
        "不配合检查情节严重"
    } else {
        "未发现问题"
    };
    format!(
        r#"{{"source":"bench","record_id":"{number}","version":1,"stream":"inspection","occurred_at":"{now}","subjects":["enterprise:F{number}"],"fields":{{"name":"某公司","result":"{result}"}}}}"#
    )
}

/// The record that a warning rests on.
fn number_of(line: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let evidence = value.get("evidence")?.get(0)?.as_str()?;
    let number = evidence.strip_prefix("bench/")?.split('@').next()?;
    number.parse().ok()
}

/// Waits: nothing is ever sent.
fn pause(time: Duration) {
    let (_open, never) = channel::<()>();
    let _: Result<(), _> = never.recv_timeout(time);
}

/// Hands records over at a rate; gives when each was.
fn at_rate(
    (rate, seconds): (u64, u64),
    mut hand_over: impl FnMut(u64, String) -> Result<(), Failed>,
) -> Result<Vec<Instant>, Failed> {
    let started = Instant::now();
    let total = rate * seconds;
    let mut sent = Vec::new();
    while u64::try_from(sent.len())? < total {
        let passed = u64::try_from(started.elapsed().as_millis())?;
        let due = (passed * rate / 1_000).min(total);
        let now = Clock::System.now().rfc3339();
        while u64::try_from(sent.len())? < due {
            let number = u64::try_from(sent.len())?;
            sent.push(Instant::now());
            hand_over(number, record(number, &now))?;
        }
        pause(TICK);
    }
    Ok(sent)
}

/// Until every record that raises a warning has one: when the first of each came.
fn arrivals(
    arrived: &Receiver<(u64, Instant)>,
    expected: u64,
) -> Result<Vec<(u64, Instant)>, Failed> {
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    while u64::try_from(seen.len())? < expected {
        let one = arrived.recv_timeout(Duration::from_mins(2))?;
        if seen.insert(one.0) {
            all.push(one);
        }
    }
    Ok(all)
}

fn tell(what: &str, sent: &[Instant], arrived: &[(u64, Instant)]) -> Result<(), Failed> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3)?;
    for (number, at) in arrived {
        if let Some(sent) = sent.get(usize::try_from(*number)?) {
            let took = at.saturating_duration_since(*sent).as_micros();
            histogram.saturating_record(u64::try_from(took)?.max(1));
        }
    }
    let at = |percentile| histogram.value_at_percentile(percentile) / 1_000;
    writeln!(
        std::io::stdout(),
        "{what}: {} warnings; p50 {} ms, p99 {} ms from handing the record over to the warning's arrival",
        histogram.len(),
        at(50.0),
        at(99.0)
    )?;
    Ok(())
}

fn fenghuo(dir: &Path, config: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fenghuo"));
    command.env("FENGHUO_LOG", "warn").args(args);
    command.arg("--config").arg(dir.join(config));
    command
}

/// A broker of its own, which ends with this value.
struct Broker<'d> {
    dir: &'d Path,
    address: String,
}

fn script(args: &[&str]) -> Result<String, Failed> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/broker");
    let output = Command::new(script).args(args).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl<'d> Broker<'d> {
    fn start(dir: &'d Path) -> Result<Self, Failed> {
        let address = script(&["start", &dir.display().to_string()])?;
        Ok(Self { dir, address })
    }

    fn make(&self, topic: &str) -> Result<(), Failed> {
        let mut config = ClientConfig::new();
        let client: AdminClient<DefaultClientContext> =
            config.set("bootstrap.servers", &self.address).create()?;
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let made = runtime.block_on(client.create_topics(&[new], &AdminOptions::new()))?;
        for result in made {
            result.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        Ok(())
    }

    fn producer(&self) -> Result<BaseProducer, Failed> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("enable.idempotence", "true")
            .set("linger.ms", "2");
        Ok(config.create()?)
    }

    /// Tells of every warning as it comes, until nobody listens.
    fn listen(&self, topic: &str, sender: Sender<(u64, Instant)>) -> Result<(), Failed> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "5")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        std::thread::spawn(move || {
            loop {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    let number = message.payload().and_then(number_of);
                    let told = number.map(|number| sender.send((number, Instant::now())));
                    if matches!(told, Some(Err(_))) {
                        return;
                    }
                }
            }
        });
        Ok(())
    }
}

impl Drop for Broker<'_> {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = script(&["kill", &self.dir.display().to_string()]);
    }
}

fn produce(producer: &BaseProducer, topic: &str, number: u64, line: &str) -> Result<(), Failed> {
    let partition = i32::try_from(number % u64::try_from(PARTITIONS)?)?;
    loop {
        let record: BaseRecord<'_, [u8], str> = BaseRecord::to(topic).partition(partition);
        match producer.send(record.payload(line)) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(_), _)) => {
                producer.poll(TICK);
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
    producer.poll(Duration::ZERO);
    Ok(())
}

/// A configuration that reads a topic and writes topics, under a prefix, and the port of its doors.
fn of_topics(dir: &Path, address: &str, name: &str) -> Result<(String, u16), Failed> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut text = format!("[engine]\nstate = \"state-{name}\"\npersonal_key_file = \"key\"\n");
    write!(
        text,
        "[kafka]\nbrokers = \"{address}\"\n[sinks.kafka]\nprefix = \"{name}.\"\n[cluster]\ninstance = \"{name}\"\nprefix = \"{name}.\"\nsession_timeout_ms = 6000\n"
    )?;
    write!(
        text,
        "[rules]\ndir = \"rules\"\n[connectors]\ndir = \"connectors\"\n[[source]]\nkind = \"kafka\"\nconnector = \"bench\"\ntopic = \"{name}.in\"\norder = \"as-they-come\"\n"
    )?;
    write!(
        text,
        "[http]\nlisten = \"127.0.0.1:{port}\"\n[audit]\npath = \"audit-{name}.jsonl\"\n"
    )?;
    let file = format!("{name}.toml");
    std::fs::write(dir.join(&file), text)?;
    Ok((file, port))
}

fn make_topics(dir: &Path, broker: &Broker<'_>, name: &str) -> Result<(String, u16), Failed> {
    let (config, port) = of_topics(dir, &broker.address, name)?;
    broker.make(&format!("{name}.in"))?;
    let partitions = PARTITIONS.to_string();
    let create = [
        "topics",
        "create",
        "--replication",
        "1",
        "--partitions",
        &partitions,
    ];
    let output = fenghuo(dir, &config, &create).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok((config, port))
}

fn stop(mut child: Child) -> Result<(), Failed> {
    Command::new("kill").arg(child.id().to_string()).status()?;
    child.wait()?;
    Ok(())
}

/// The embedded mode: lines into its standard input, warnings out of its standard output.
fn embedded(dir: &Path, (rate, seconds, events): (u64, u64, u64)) -> Result<(), Failed> {
    let config = |name: &str, source: &str| {
        let text = format!(
            "[engine]\nstate = \"state-{name}\"\npersonal_key_file = \"key\"\n[sinks.stdout]\n[rules]\ndir = \"rules\"\n[connectors]\ndir = \"connectors\"\n[[source]]\nconnector = \"bench\"\n{source}\n"
        );
        std::fs::write(dir.join(format!("{name}.toml")), text)
    };
    config("steady", "kind = \"stdin\"")?;
    let mut child = fenghuo(dir, "steady.toml", &["run"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("no pipes".into());
    };
    let (sender, arrived) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let told = number_of(line.as_bytes()).map(|n| sender.send((n, Instant::now())));
            if matches!(told, Some(Err(_))) {
                return;
            }
        }
    });
    let sent = at_rate((rate, seconds), |_, line| Ok(writeln!(input, "{line}")?))?;
    let expected = (rate * seconds).div_ceil(SIGN_EVERY);
    tell(
        &format!("embedded, {rate} records/s"),
        &sent,
        &arrivals(&arrived, expected)?,
    )?;
    stop(child)?;
    let now = Clock::System.now().rfc3339();
    let mut file = std::io::BufWriter::new(std::fs::File::create(dir.join("all.jsonl"))?);
    for number in 0..events {
        writeln!(file, "{}", record(number, &now))?;
    }
    file.flush()?;
    config(
        "full",
        "kind = \"file\"\npath = \"all.jsonl\"\norder = \"listed\"",
    )?;
    let started = Instant::now();
    let mut run = fenghuo(dir, "full.toml", &["run", "--until-end"]);
    run.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    speed("embedded", events, started.elapsed())
}

fn speed(what: &str, events: u64, took: Duration) -> Result<(), Failed> {
    let rate = f64::from(u32::try_from(events)?) / took.as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{what}, full speed: {events} records in {:.1} s, start included: {rate:.0} records/s",
        took.as_secs_f64()
    )?;
    Ok(())
}

fn through_broker(dir: &Path, (rate, seconds, events): (u64, u64, u64)) -> Result<(), Failed> {
    let data = dir.join("broker");
    let broker = Broker::start(&data)?;
    let producer = broker.producer()?;
    let (config, port) = make_topics(dir, &broker, "steady")?;
    let child = fenghuo(dir, &config, &["run"]).spawn()?;
    let (sender, arrived) = channel();
    broker.listen("steady.fenghuo.warning.v1", sender)?;
    // Members join, partitions are taken over.
    pause(Duration::from_secs(15));
    let sent = at_rate((rate, seconds), |number, line| {
        produce(&producer, "steady.in", number, &line)
    })?;
    producer.flush(Duration::from_secs(20))?;
    let expected = (rate * seconds).div_ceil(SIGN_EVERY);
    let what = format!("through the broker, {rate} records/s");
    tell(&what, &sent, &arrivals(&arrived, expected)?)?;
    look_inside(port)?;
    stop(child)?;

    let (config, _) = make_topics(dir, &broker, "full")?;
    let now = Clock::System.now().rfc3339();
    for number in 0..events {
        produce(&producer, "full.in", number, &record(number, &now))?;
    }
    producer.flush(Duration::from_mins(1))?;
    let (sender, arrived) = channel();
    broker.listen("full.fenghuo.warning.v1", sender)?;
    let started = Instant::now();
    let child = fenghuo(dir, &config, &["run"]).spawn()?;
    arrivals(&arrived, events.div_ceil(SIGN_EVERY))?;
    speed("through the broker", events, started.elapsed())?;
    stop(child)?;

    std::fs::remove_dir_all(dir.join("state-full"))?;
    let rebuild = fenghuo(dir, &config, &["--format", "json", "state", "rebuild"]).output()?;
    let (mut records, mut bytes, mut took) = (0, 0, 0.0);
    let told = serde_json::Deserializer::from_slice(&rebuild.stdout);
    for value in told.into_iter::<serde_json::Value>() {
        let value = value?;
        records += value["records"].as_u64().unwrap_or(0);
        bytes += value["bytes"].as_u64().unwrap_or(0);
        took += value["seconds"].as_f64().unwrap_or(0.0);
    }
    let rate = |number: u64| Ok::<_, Failed>(f64::from(u32::try_from(number)?) / took);
    writeln!(
        std::io::stdout(),
        "state made again from the broker: {records} records of the log with all of {events} events in {took:.1} s, {:.0} events/s, {:.1} MB/s of state",
        rate(events)?,
        rate(bytes / 1_000)? / 1_000.0
    )?;
    std::fs::remove_dir_all(dir.join("state-full"))?;
    let started = Instant::now();
    let mut run = fenghuo(dir, &config, &["run", "--until-end"]);
    run.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let what = "from the broker's log alone to its end, subjects in memory and nothing to do";
    speed(what, events, started.elapsed())
}

/// How long appends to the state log and whole commits took on average, as the process counts them.
fn look_inside(port: u16) -> Result<(), Failed> {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let value = |name: &str| -> Result<f64, Failed> {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(found.ok_or("no such metric")?.trim().parse()?)
    };
    for (name, what) in [
        ("fenghuo_cluster_append_seconds", "an append to a state log"),
        (
            "fenghuo_commit_seconds",
            "a commit of a partition with its deliveries",
        ),
    ] {
        let (sum, count) = (
            value(&format!("{name}_sum"))?,
            value(&format!("{name}_count"))?,
        );
        writeln!(
            std::io::stdout(),
            "{what}: {:.1} ms on average, {count} of them",
            1e3 * sum / count
        )?;
    }
    Ok(())
}

fn main() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let rate = setting("FENGHUO_BENCH_RATE", 5_000);
    let seconds = setting("FENGHUO_BENCH_SECONDS", 20);
    let events = setting("FENGHUO_BENCH_EVENTS", 200_000);
    let dir = tempfile::tempdir()?;
    rules(dir.path())?;
    let key = dir.path().join("key");
    std::fs::write(&key, [7; 32])?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    embedded(dir.path(), (rate, seconds, events))?;
    through_broker(dir.path(), (rate, seconds, events))
}
