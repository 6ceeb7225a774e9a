//! A real broker for a test, messages into its topics and out of them.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const SHORT: Duration = Duration::from_secs(20);

/// Lets a time pass in which other processes do what they do.
pub(crate) fn let_pass(time: Duration) {
    // Nothing is ever sent here: it is a wait with an end.
    let (_keep_open, never) = std::sync::mpsc::channel::<()>();
    let _: Result<(), _> = never.recv_timeout(time);
}

/// Brokers that end with the test.
pub(crate) struct Cluster {
    dir: PathBuf,
    pub address: String,
    pub nodes: i32,
}

fn broker(args: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/broker");
    let output = Command::new(script).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "broker {args:?}: {text}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Cluster {
    /// So many nodes with their data below `dir`.
    pub(crate) fn start(dir: &Path, nodes: usize) -> Self {
        let address = broker(&["start", dir.to_str().unwrap(), &nodes.to_string()]);
        Self {
            dir: dir.to_owned(),
            address,
            nodes: i32::try_from(nodes).unwrap(),
        }
    }

    /// One node that can also be entered with TLS: with a certificate, and with a name and a password; gives both addresses.
    #[cfg(feature = "kafka-tls")]
    pub(crate) fn secure(dir: &Path) -> (Self, String, String) {
        let told = broker(&["secure", dir.to_str().unwrap()]);
        let mut addresses = told.split_whitespace().map(str::to_owned);
        let mut next = || addresses.next().unwrap();
        let cluster = Self {
            dir: dir.to_owned(),
            address: next(),
            nodes: 1,
        };
        (cluster, next(), next())
    }

    /// Ends a node at once and starts it again.
    pub(crate) fn bounce(&self, node: usize) {
        let (dir, node) = (self.dir.to_str().unwrap(), node.to_string());
        broker(&["kill", dir, &node]);
        broker(&["restart", dir, &node]);
    }

    pub(crate) fn end(&self, node: usize) {
        broker(&["kill", self.dir.to_str().unwrap(), &node.to_string()]);
    }

    pub(crate) fn again(&self, node: usize) {
        broker(&["restart", self.dir.to_str().unwrap(), &node.to_string()]);
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    /// Makes a topic.
    pub(crate) fn make(&self, topic: &str, partitions: i32, replication: i32) {
        use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
        use rdkafka::client::DefaultClientContext;
        let client: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication))
            .set("max.message.bytes", "10485760");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let made = runtime.block_on(client.create_topics(&[new], &AdminOptions::new()));
        made.unwrap().remove(0).unwrap();
    }

    /// Lets everything before these offsets of a partition be gone.
    pub(crate) fn expire(&self, topic: &str, partition: i32, before: i64) {
        use rdkafka::admin::{AdminClient, AdminOptions};
        use rdkafka::client::DefaultClientContext;
        let client: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(client.delete_records(&list, &AdminOptions::new()))
            .unwrap();
    }

    /// Messages into a topic, each with its partition.
    pub(crate) fn produce(&self, topic: &str, messages: &[(i32, Option<Vec<u8>>)]) {
        let producer: BaseProducer = self
            .config()
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "9000000")
            .set("compression.type", "lz4")
            .create()
            .unwrap();
        for (partition, value) in messages {
            loop {
                let mut record: BaseRecord<'_, [u8], [u8]> =
                    BaseRecord::to(topic).partition(*partition);
                if let Some(value) = value {
                    record = record.payload(value.as_slice());
                }
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(_), _)) => {
                        producer.poll(Duration::from_millis(10));
                    }
                    Err((error, _)) => panic!("{error}"),
                }
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(SHORT).unwrap();
    }

    /// Everything in a topic, partition by partition.
    pub(crate) fn read(&self, topic: &str) -> Vec<Read> {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "test")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), SHORT).unwrap();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)
                .unwrap();
        }
        // Read to where the broker says that each partition ends, and on to the end as it is met, which may be more than once.
        let mut ends = BTreeMap::new();
        for partition in metadata.topics()[0].partitions() {
            // A topic that was just made has no leader yet.
            let mut tries = (0..40).map(|_| {
                let marks = consumer.fetch_watermarks(topic, partition.id(), SHORT);
                marks.inspect_err(|_| {
                    let_pass(Duration::from_millis(250));
                })
            });
            let marks = tries.find_map(Result::ok);
            let (low, high) = marks.expect("a partition has a leader");
            let is_empty = low == high;
            ends.insert(partition.id(), (high, is_empty));
        }
        consumer.assign(&list).unwrap();
        let (mut read, mut ended) = (Vec::new(), std::collections::BTreeSet::new());
        while ended.len() < ends.len() {
            match consumer.poll(SHORT) {
                Some(Ok(message)) => {
                    ended.remove(&message.partition());
                    if let Some((high, is_there)) = ends.get_mut(&message.partition()) {
                        *is_there |= *high <= message.offset() + 1;
                    }
                    read.push(Read {
                        partition: message.partition(),
                        key: text(message.key()),
                        value: message.payload().unwrap_or_default().to_vec(),
                        headers: message.headers().map_or_else(BTreeMap::new, |headers| {
                            let pair = |h: rdkafka::message::Header<'_, &[u8]>| {
                                (h.key.to_owned(), text(h.value))
                            };
                            headers.iter().map(pair).collect()
                        }),
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if ends.get(&partition).is_some_and(|(_, is_there)| *is_there) {
                        ended.insert(partition);
                    }
                }
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => panic!("{topic} does not end: still to come {ends:?}"),
            }
        }
        read
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        broker(&["kill", self.dir.to_str().unwrap()]);
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// A message that was read.
pub(crate) struct Read {
    pub partition: i32,
    pub key: String,
    pub value: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

impl Read {
    pub(crate) fn id(&self) -> &str {
        self.headers.get("ce_id").map_or("", String::as_str)
    }
}
