//! The way by a front-end database: rows of a table that the far end reads (PostgreSQL).
//!
//! ```sql
//! CREATE TABLE fxyj_out (
//!     cd_id text PRIMARY KEY, cd_time timestamptz NOT NULL DEFAULT now(), cd_source text NOT NULL, cd_batch text NOT NULL,
//!     cd_operation char(1) NOT NULL, kind text NOT NULL, record text NOT NULL, subject text NOT NULL,
//!     lane_no bigint NOT NULL, body_sm3 text NOT NULL, body text NOT NULL);
//! ```
//!
//! The table belongs to the database's keeper, who makes it; a start without one is told how. What is sent together is one
//! transaction and one `cd_batch`. A row that is there already (the answer to its commit was lost, or a process was
//! killed) is not written again: with the same bytes it is accepted, with others refused. Rows are never changed: each is one
//! transition, `cd_operation` says what it means for `record`.
//!
//! security the connection is not encrypted and therefore to this machine only; a password from a file of mode 0600 (SCRAM)
//! source   `domain.md` §1.5 (control columns), §6.1
//! errors   of a row's own (a constraint, a value): refused; of the connection: not now; of the role or the table: denied

use super::batch::{Row, next_number};
use super::{Adapter, Bundle, ExchangeError, Held, Outcome, Parcel, Receipt, Tried};
use crate::runtime::clock::Clock;
use crate::runtime::logging::chain;
use crate::runtime::secret::read_secret;
use postgres::error::SqlState;
use postgres::{Client, NoTls, Transaction};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// This machine, or the directory of a socket.
    pub host: String,
    /// TCP port, or the number of the socket.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// The password's file; none when the server asks for none.
    pub password: Option<PathBuf>,
    /// The table, checked to be plain words.
    pub table: String,
    /// `cd_source`.
    pub source: String,
    /// Rows in one transaction.
    pub rows_max: usize,
    /// Time for a connection, and for a statement.
    pub timeout_ms: u64,
}

/// See the module.
pub struct Database {
    config: DatabaseConfig,
    clock: Clock,
    client: Mutex<Option<Client>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("table", &self.config.table)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Connects only when there is something to send.
    pub fn new(config: DatabaseConfig, clock: Clock) -> Result<Self, ExchangeError> {
        if let Some(path) = &config.password {
            read_secret(path, 1, 4_096).map_err(|error| {
                let why = chain(&error);
                ExchangeError::Setting(format!("exchange.database.password_file: {why}"))
            })?;
        }
        Ok(Self {
            config,
            clock,
            client: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> Result<Client, Outcome> {
        let config = &self.config;
        let mut settings = Client::configure();
        settings
            .host(&config.host)
            .port(config.port)
            .dbname(&config.database)
            .user(&config.user)
            .application_name("fenghuo")
            .options(&format!("-c statement_timeout={}", config.timeout_ms))
            .connect_timeout(Duration::from_millis(config.timeout_ms));
        if let Some(path) = &config.password {
            let password =
                read_secret(path, 1, 4_096).map_err(|error| Outcome::Denied(chain(&error)))?;
            settings.password(password.expose().trim_ascii());
        }
        settings.connect(NoTls).map_err(|error| judge(&error))
    }

    /// One transaction; nothing of it counts when it fails.
    fn write(&self, client: &mut Client, parcels: &[Tried]) -> Result<Vec<Outcome>, Outcome> {
        let table = &self.config.table;
        let now = self.clock.now();
        let day = next_number("", now).unwrap_or_default();
        let day = day.get(..8).unwrap_or_default();
        let mut transaction = client.transaction().map_err(|error| judge(&error))?;
        let newest = format!(
            "SELECT max(cd_batch) FROM {table} WHERE cd_source = $1 AND cd_batch BETWEEN $2 AND $3"
        );
        let bounds = (format!("{day}00000"), format!("{day}99999"));
        let newest: Option<String> = transaction
            .query_one(&newest, &[&self.config.source, &bounds.0, &bounds.1])
            .and_then(|row| row.try_get(0))
            .map_err(|error| judge(&error))?;
        let number =
            next_number(newest.as_deref().unwrap_or_default(), now).map_err(|why| unsure(&why))?;
        let mut refused = BTreeSet::new();
        let mut outcomes = Vec::with_capacity(parcels.len());
        for (at, (parcel, _)) in parcels.iter().enumerate() {
            let outcome = if refused.contains(parcel.subject.as_str()) {
                unsure("waits behind one that was refused")
            } else {
                self.put(&mut transaction, parcel, (&number, at + 1))?
            };
            if matches!(outcome, Outcome::Refused(_)) {
                refused.insert(parcel.subject.as_str());
            }
            outcomes.push(outcome);
        }
        transaction.commit().map_err(|error| judge(&error))?;
        Ok(outcomes)
    }

    /// Puts a row in, or finds it there. A value that the table refuses takes back its own row only.
    fn put(
        &self,
        transaction: &mut Transaction<'_>,
        parcel: &Parcel,
        (number, at): (&str, usize),
    ) -> Result<Outcome, Outcome> {
        let table = &self.config.table;
        let row = match Row::of(parcel, (&self.config.source, number), self.clock.now()) {
            Ok(row) => row,
            Err(why) => return Ok(Outcome::Refused(why)),
        };
        let lane_no = i64::from(row.lane_no);
        let insert = format!(
            "INSERT INTO {table} (cd_id, cd_source, cd_batch, cd_operation, kind, record, subject, lane_no, body_sm3, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (cd_id) DO NOTHING"
        );
        let mut savepoint = transaction.transaction().map_err(|error| judge(&error))?;
        let put = savepoint.execute(
            &insert,
            &[
                &row.cd_id,
                &row.cd_source,
                &row.cd_batch,
                &row.cd_operation,
                &row.kind,
                &row.record,
                &row.subject,
                &lane_no,
                &row.body_sm3,
                &row.body,
            ],
        );
        match put {
            Ok(_) => savepoint.commit().map_err(|error| judge(&error))?,
            Err(error) => match judge(&error) {
                Outcome::Refused(why) => {
                    savepoint.rollback().map_err(|error| judge(&error))?;
                    return Ok(Outcome::Refused(why));
                }
                other => return Err(other),
            },
        }
        let look = format!(
            "SELECT body_sm3, cd_batch, to_char(cd_time, 'YYYY-MM-DD\"T\"HH24:MI:SSOF') FROM {table} WHERE cd_id = $1"
        );
        let found = transaction
            .query_opt(&look, &[&row.cd_id])
            .map_err(|error| judge(&error))?;
        let Some(found) = found else {
            return Ok(unsure("the row that was put in is not there"));
        };
        let text = |column: usize| found.try_get::<_, String>(column).unwrap_or_default();
        let (sm3, batch, time) = (text(0), text(1), text(2));
        if sm3 != parcel.body_sm3 {
            let ours = &parcel.body_sm3;
            let what = "the table has other bytes under this id";
            return Ok(Outcome::Refused(format!(
                "{what}: SM3 {sm3} there, {ours} here"
            )));
        }
        // Of a row that was there the place in its batch is not known; its id is.
        let place = if batch == number {
            at.to_string()
        } else {
            parcel.id.clone()
        };
        Ok(Outcome::Accepted(Receipt {
            number: format!("{batch}-{place}"),
            accepted_at: time,
            raw: serde_json::json!({"table": table, "cd_id": row.cd_id, "cd_batch": batch, "body_sm3": sm3}).to_string(),
        }))
    }

    /// Works with a connection, which is given up after any failure.
    fn with<T>(&self, work: impl FnOnce(&mut Client) -> Result<T, Outcome>) -> Result<T, Outcome> {
        let mut kept = self.lock();
        let mut client = match kept.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect()?,
        };
        let done = work(&mut client)?;
        *kept = Some(client);
        Ok(done)
    }
}

impl Adapter for Database {
    fn name(&self) -> &'static str {
        "database"
    }

    fn bundle(&self) -> Bundle {
        Bundle {
            most: self.config.rows_max.max(2),
            every_ms: 0,
        }
    }

    fn send(&self, parcel: &Parcel, attempts: u32) -> Outcome {
        let mut outcomes = self.send_all(&[(parcel.clone(), attempts)]);
        outcomes
            .pop()
            .unwrap_or_else(|| unsure("nothing was tried"))
    }

    fn send_all(&self, parcels: &[Tried]) -> Vec<Outcome> {
        match self.with(|client| self.write(client, parcels)) {
            Ok(outcomes) => outcomes,
            Err(outcome) => parcels.iter().map(|_| outcome.clone()).collect(),
        }
    }

    fn list(&self) -> Result<Vec<Held>, String> {
        let query = format!(
            "SELECT cd_id, body_sm3 FROM {} WHERE cd_source = $1 ORDER BY cd_id",
            self.config.table
        );
        let rows = self.with(|client| {
            client
                .query(&query, &[&self.config.source])
                .map_err(|error| judge(&error))
        });
        let rows =
            rows.map_err(|outcome| format!("cannot read the table: {}", outcome.reason()))?;
        let held = rows.iter().map(|row| Held {
            id: row.try_get(0).unwrap_or_default(),
            sm3: row.try_get(1).unwrap_or_default(),
        });
        Ok(held.collect())
    }
}

fn unsure(why: &str) -> Outcome {
    Outcome::Unsure {
        reason: why.to_owned(),
        after_ms: None,
    }
}

/// What a failure means.
fn judge(error: &postgres::Error) -> Outcome {
    let why = chain(error);
    let Some(state) = error.code() else {
        return Outcome::Unsure {
            reason: why,
            after_ms: None,
        };
    };
    // Classes of SQLSTATE: 22 a value, 23 a constraint; 28 who asks, 3D the database, 42 the table, its columns, our right.
    match state.code().get(..2).unwrap_or_default() {
        "22" | "23" => Outcome::Refused(why),
        "42" if *state == SqlState::UNDEFINED_TABLE => Outcome::Denied(format!(
            "{why}; the keeper of the database has to make it: see \"The national exchange\" in README.md"
        )),
        "28" | "3D" | "3F" | "42" => Outcome::Denied(why),
        _ => Outcome::Unsure {
            reason: why,
            after_ms: None,
        },
    }
}
