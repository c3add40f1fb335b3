//! A connection to Valkey or Redis. The one file that names the crate `redis`.

use std::fmt;
use std::time::{Duration, Instant};

pub(super) use redis::cmd;
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo as _};
use redis::{RedisConnectionInfo, RedisError, ServerErrorKind, Value};

use super::batch::Batch;
use super::config::ShareConfig;
use super::epoch::Epoch;
use super::position::StreamPosition;

/// The engine did not do something.
#[derive(Debug)]
pub(super) enum EngineError {
    /// It was not reached, so it has certainly not done it.
    Away(String),
    /// The connection broke, or the time was up: it may have done it.
    Unknown(String),
    /// It reads its data from the disk, as after a restart.
    Loading,
    /// It refuses.
    Refused(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(cause) | Self::Unknown(cause) | Self::Refused(cause) => formatter.write_str(cause),
            Self::Loading => formatter.write_str("it is loading its data"),
        }
    }
}

/// Something that cannot be written as bytes.
impl From<postcard::Error> for EngineError {
    fn from(error: postcard::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl EngineError {
    fn of(error: &RedisError, is_sent: bool) -> Self {
        let text = crate::sanitize::Sanitized(&error.to_string()).to_string();
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::BusyLoading) => Self::Loading,
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::UnexpectedReturnType if is_sent => Self::Unknown(text),
            ErrorKind::Io => Self::Away(text),
            _ => Self::Refused(text),
        }
    }
}

/// One entry of the stream.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) position: StreamPosition,
    /// `None` for one that is none of this program's batches: the first of an epoch.
    pub(super) batch: Option<Batch>,
}

/// A connection. After an error it is not used again.
pub(super) struct Engine {
    connection: redis::Connection,
    /// The name of the chat.
    pub(super) chat: String,
    /// A time of the engine's clock in milliseconds, and the latest moment at which it was so.
    clock: (u64, Instant),
    /// Identifies the process of the engine: random. One before may have known more, because an engine loses what it had not
    /// written to the disk.
    pub(super) run: u64,
}

impl Engine {
    /// Connects within `timeout`, which is then that of every call.
    pub(super) fn connect(config: &ShareConfig, timeout: Duration) -> Result<Self, EngineError> {
        let failed = |error: RedisError| EngineError::of(&error, false);
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &config.password {
            settings = settings.set_password(password);
        }
        if let Some(user) = &config.user {
            settings = settings.set_username(user);
        }
        let address = ConnectionAddr::Tcp(config.engine.host.clone(), config.engine.port);
        let info: ConnectionInfo = address.into_connection_info().map_err(failed)?;
        let info = info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(failed)?;
        let connection = client.get_connection_with_timeout(timeout).map_err(failed)?;
        let mut engine = Self { connection, chat: config.chat.clone(), clock: (0, Instant::now()), run: 0 };
        engine.set_timeout(timeout)?;
        engine.set_clock()?;
        let info: String = engine.call(cmd("INFO").arg("server"))?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:")?.get(..16));
        let run = run.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        engine.run = run.ok_or_else(|| EngineError::Refused("it does not say its run_id".into()))?;
        Ok(engine)
    }

    pub(super) fn set_timeout(&self, timeout: Duration) -> Result<(), EngineError> {
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        let set = self.connection.set_read_timeout(timeout).and_then(|()| self.connection.set_write_timeout(timeout));
        set.map_err(|error| EngineError::of(&error, false))
    }

    /// Asks for the engine's time.
    pub(super) fn set_clock(&mut self) -> Result<(), EngineError> {
        let (seconds, micros): (u64, u64) = self.call(&cmd("TIME"))?;
        self.clock = (seconds * 1000 + micros / 1000, Instant::now());
        Ok(())
    }

    /// Returns the engine's time at `moment`, in milliseconds; rather too early than too late.
    pub(super) fn time_at(&self, moment: Instant) -> u64 {
        let (time, at) = self.clock;
        time + u64::try_from(moment.saturating_duration_since(at).as_millis()).unwrap_or(0)
    }

    pub(super) fn call<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, EngineError> {
        command.query(&mut self.connection).map_err(|error| EngineError::of(&error, true))
    }

    /// Appends a batch. Returns false where there is no such stream.
    pub(super) fn append(&mut self, epoch: Epoch, batch: &Batch) -> Result<bool, EngineError> {
        let mut add = cmd("XADD");
        add.arg(self.stream(epoch)).arg("NOMKSTREAM").arg("*");
        add.arg("origin").arg(format!("{:016x}", batch.origin)).arg("sequence").arg(batch.sequence);
        add.arg("deadline").arg(batch.deadline).arg("entries").arg(postcard::to_allocvec(&batch.entries)?);
        Ok(self.call::<Option<String>>(&add)?.is_some())
    }

    /// Reads what is past `cursor`; waits up to `wait` for something to come.
    pub(super) fn read(
        &mut self,
        epoch: Epoch,
        cursor: StreamPosition,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(READ_COUNT);
        if !wait.is_zero() {
            read.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(1));
        }
        read.arg("STREAMS").arg(self.stream(epoch)).arg(cursor.to_string());
        // [[stream, [record, …]]], or nothing.
        let streams: Option<Vec<(Value, Vec<Value>)>> = self.call(&read)?;
        records(streams.into_iter().flatten().flat_map(|(_, records)| records))
    }

    /// Returns the record at `position`, if it is there.
    pub(super) fn record_at(&mut self, epoch: Epoch, position: StreamPosition) -> Result<Option<Record>, EngineError> {
        let id = position.to_string();
        let found: Vec<Value> = self.call(cmd("XRANGE").arg(self.stream(epoch)).arg(&id).arg(&id))?;
        Ok(records(found)?.pop())
    }

    /// Returns the position of the last record, if there is one.
    pub(super) fn last(&mut self, epoch: Epoch) -> Result<Option<StreamPosition>, EngineError> {
        let found: Vec<Value> =
            self.call(cmd("XREVRANGE").arg(self.stream(epoch)).arg("+").arg("-").arg("COUNT").arg(1))?;
        Ok(records(found)?.pop().map(|record| record.position))
    }
}

/// The most records that are read at once.
const READ_COUNT: usize = 512;

/// The name of a field of a record, and its value.
type Field = (Vec<u8>, Vec<u8>);

fn records(values: impl IntoIterator<Item = Value>) -> Result<Vec<Record>, EngineError> {
    values.into_iter().map(record).collect()
}

fn record(value: Value) -> Result<Record, EngineError> {
    let strange = || EngineError::Refused("the stream has a record that is none of this program's".into());
    let (id, fields): (String, Vec<Field>) = redis::from_redis_value(value).map_err(|_| strange())?;
    let position = StreamPosition::parse(&id).ok_or_else(strange)?;
    let field =
        |name: &str| fields.iter().find(|(field, _)| field == name.as_bytes()).map(|(_, value)| value.as_slice());
    if field("epoch").is_some() {
        return Ok(Record { position, batch: None });
    }
    let text = |name| field(name).and_then(|value| std::str::from_utf8(value).ok()).ok_or_else(strange);
    let number = |name| text(name)?.parse().map_err(|_| strange());
    let newer = |_| EngineError::Refused("the stream has entries of another version of this program".into());
    let batch = Batch {
        origin: u64::from_str_radix(text("origin")?, 16).map_err(|_| strange())?,
        sequence: number("sequence")?,
        deadline: number("deadline")?,
        entries: postcard::from_bytes(field("entries").ok_or_else(strange)?).map_err(newer)?,
    };
    Ok(Record { position, batch: Some(batch) })
}
