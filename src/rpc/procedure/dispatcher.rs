//! The dispatcher: finds the procedure of a call, runs it and meters it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::system::{MAX_MULTICALL, MAX_MULTICALL_BYTES, SYSTEM};
use super::{Handler, ParamSpec, Procedure};
use crate::rpc::metrics::Metrics;
use crate::rpc::server::{Caller, ConnectionId, Exchange, HttpConfig, Opener, Responder, StreamRequest};
use crate::rpc::{DocumentLimits, Fault, Value, read_call, write};

/// The right to reply to one call later. Dropped without a reply, it replies with fault -32603.
#[derive(Debug)]
pub struct Deferred {
    responder: Option<Responder>,
    counts: Arc<CallCounts>,
}

impl Deferred {
    /// Replies with a whole document, which many calls can share. Drop the returned value once all of them have
    /// their reply, see [`Responder::xml`].
    pub fn document(mut self, document: &str) -> Option<Exchange> {
        self.responder.take()?.xml(document.as_bytes())
    }

    /// Replies with a fault.
    pub fn fault(mut self, fault: &Fault) {
        self.fail(fault);
    }

    /// Returns the connection that the call came on.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.responder.as_ref().and_then(Responder::connection)
    }

    /// Returns whether another request waits on the same connection for this reply.
    #[must_use]
    pub fn has_pipelined_request(&self) -> bool {
        self.responder.as_ref().is_some_and(Responder::has_pipelined_request)
    }

    fn fail(&mut self, fault: &Fault) {
        if let Some(responder) = self.responder.take() {
            self.counts.faults.fetch_add(1, Ordering::Relaxed);
            reply_with(fault, responder);
        }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.fail(&internal_error());
    }
}

fn reply_with(fault: &Fault, responder: Responder) {
    responder.xml(write::fault_document(fault).as_bytes());
}

fn internal_error() -> Fault {
    Fault::new(Fault::INTERNAL, "internal error; the server's log has the cause")
}

/// The counts of a procedure's calls and faults.
#[derive(Debug, Default)]
struct CallCounts {
    calls: AtomicU64,
    faults: AtomicU64,
}

type RunNow = Box<dyn Fn(&Dispatcher, &Caller, Vec<Value>, &mut String) -> Result<(), Fault> + Send + Sync>;
type RunLater = Box<dyn Fn(&Caller, Vec<Value>, Deferred) + Send + Sync>;

type OnEvents = dyn Fn(&Caller, &StreamRequest, Opener) + Send + Sync;

enum BoundHandler {
    Now(RunNow),
    Later(RunLater),
}

pub(super) struct BoundProcedure {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) answers: &'static [&'static str],
    pub(super) params: &'static [ParamSpec],
    counts: Arc<CallCounts>,
    run: BoundHandler,
}

/// Runs calls of the procedures in tables, and the `system.*` procedures about them.
pub struct Dispatcher {
    /// In the order of their tables. There are so few that a search through all of them takes no longer than a hash.
    pub(super) procedures: Vec<BoundProcedure>,
    /// The `limits` of `system.getCapabilities`.
    pub(super) published: Vec<(String, i64)>,
    /// Its `server_id`.
    pub(super) server_id: Option<String>,
    on_pipelined: Box<dyn Fn(ConnectionId) + Send + Sync>,
    on_events: Option<Box<OnEvents>>,
    extra_metrics: Box<dyn Fn(&mut Metrics) + Send + Sync>,
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Dispatcher {
    /// Returns a dispatcher of the `system.*` procedures.
    #[must_use]
    pub fn new() -> Self {
        let mut dispatcher = Self {
            procedures: Vec::new(),
            published: Vec::new(),
            server_id: None,
            on_pipelined: Box::new(|_| {}),
            on_events: None,
            extra_metrics: Box::new(|_| {}),
        };
        for row in SYSTEM {
            let run = match row.run {
                Handler::Now(run) => BoundHandler::Now(Box::new(run)),
                Handler::Later(_) => continue,
            };
            dispatcher.add(row, run);
        }
        dispatcher
    }

    /// Adds `table`, whose handlers get `state`.
    pub fn add_procedures<S: Send + Sync>(&mut self, table: &'static [Procedure<S>], state: &Arc<S>) {
        for row in table {
            let state = Arc::clone(state);
            let run = match row.run {
                Handler::Now(run) => {
                    BoundHandler::Now(Box::new(move |_, caller, values, out| run(&state, caller, values, out)))
                }
                Handler::Later(run) => {
                    BoundHandler::Later(Box::new(move |caller, values, deferred| run(&state, caller, values, deferred)))
                }
            };
            self.add(row, run);
        }
    }

    fn add<S>(&mut self, row: &'static Procedure<S>, run: BoundHandler) {
        let Procedure { name, help, answers, params, .. } = *row;
        self.procedures.push(BoundProcedure { name, help, answers, params, counts: Arc::default(), run });
    }

    /// Publishes the identity of the server, which lasts as long as its memory of names.
    pub fn publish_server_id(&mut self, id: &str) {
        self.server_id = Some(id.to_owned());
    }

    /// Publishes limits as the capability `limits`: `own`, and those that every server has.
    pub fn publish_limits(&mut self, config: &HttpConfig, own: Vec<(String, i64)>) {
        let document = DocumentLimits::default();
        let common = [
            ("max_body_bytes", config.max_body_bytes),
            ("max_connections", config.max_connections),
            ("connections_per_address", config.connections_per_address),
            ("connection_idle", usize::try_from(config.connection_idle.as_secs()).unwrap_or(usize::MAX)),
            ("max_nesting", document.depth),
            ("max_elements", document.elements),
            ("max_multicall_calls", MAX_MULTICALL),
            ("max_multicall_bytes", MAX_MULTICALL_BYTES),
        ];
        let common = common.map(|(name, value)| (name.to_owned(), i64::try_from(value).unwrap_or(i64::MAX)));
        self.published.extend(own.into_iter().chain(common));
    }

    /// Sets the function that is called when another request arrives on a connection that waits for a deferred reply, or nothing
    /// more will.
    pub fn on_pipelined(&mut self, on_pipelined: impl Fn(ConnectionId) + Send + Sync + 'static) {
        self.on_pipelined = Box::new(on_pipelined);
    }

    /// Lets `on_events` open streams of events. Without one there are none.
    pub fn on_events(&mut self, on_events: impl Fn(&Caller, &StreamRequest, Opener) + Send + Sync + 'static) {
        self.on_events = Some(Box::new(on_events));
    }

    /// Adds metrics to those of the calls.
    pub fn on_metrics(&mut self, metrics: impl Fn(&mut Metrics) + Send + Sync + 'static) {
        self.extra_metrics = Box::new(metrics);
    }

    /// Makes one call of a procedure that replies at once, and returns the `<value>` of the reply.
    ///
    /// # Errors
    /// The procedure's fault, or one of the protocol: no such procedure, or one that replies later.
    pub fn call(&self, caller: &Caller, name: &str, params: Vec<Value>) -> Result<String, Fault> {
        let mut out = String::new();
        self.call_into(caller, name, params, &mut out)?;
        Ok(out)
    }

    /// Calls like [`Dispatcher::call`], and appends the `<value>` to `out`. After a fault something can have been appended.
    pub(super) fn call_into(
        &self,
        caller: &Caller,
        name: &str,
        params: Vec<Value>,
        out: &mut String,
    ) -> Result<(), Fault> {
        match self.find(name)? {
            BoundProcedure { run: BoundHandler::Now(run), counts, .. } => {
                self.run_now(run, counts, caller, params, out)
            }
            BoundProcedure { run: BoundHandler::Later(_), .. } => {
                Err(Fault::new(Fault::INVALID_CALL, "a procedure that waits cannot be called here"))
            }
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<&BoundProcedure, Fault> {
        self.procedures.iter().find(|procedure| procedure.name == name).ok_or_else(|| {
            Fault::new(Fault::NO_SUCH_PROCEDURE, "no such procedure; system.listMethods names those that there are")
        })
    }

    /// Runs a handler. If it panics, the reply is fault -32603; the panic hook has written the cause to the log.
    fn run_now(
        &self,
        run: &RunNow,
        counts: &CallCounts,
        caller: &Caller,
        params: Vec<Value>,
        out: &mut String,
    ) -> Result<(), Fault> {
        counts.calls.fetch_add(1, Ordering::Relaxed);
        let outcome =
            catch_unwind(AssertUnwindSafe(|| run(self, caller, params, out))).unwrap_or_else(|_| Err(internal_error()));
        if outcome.is_err() {
            counts.faults.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

/// The HTTP server's calls.
impl Dispatcher {
    /// Replies to the call in `body`, now or later and from any thread.
    pub(crate) fn call_document(&self, caller: Caller, body: &[u8], responder: Responder) {
        let call = read_call(body, &DocumentLimits::default()).map_err(|error| error.to_fault());
        let found = call.and_then(|call| Ok((self.find(&call.method)?, call.params)));
        let (procedure, params) = match found {
            Ok(found) => found,
            Err(fault) => return reply_with(&fault, responder),
        };
        match &procedure.run {
            BoundHandler::Now(run) => {
                let mut document = String::with_capacity(256);
                write::response_start(&mut document);
                match self.run_now(run, &procedure.counts, &caller, params, &mut document) {
                    Ok(()) => {
                        write::response_end(&mut document);
                        responder.xml(document.as_bytes());
                    }
                    #[cfg(feature = "share")]
                    Err(fault) if fault.code == Fault::UNKNOWN => responder.unknown(&fault.message),
                    Err(fault) => reply_with(&fault, responder),
                }
            }
            BoundHandler::Later(run) => {
                procedure.counts.calls.fetch_add(1, Ordering::Relaxed);
                let deferred = Deferred { responder: Some(responder), counts: Arc::clone(&procedure.counts) };
                // A panic drops the right to reply, and the reply is fault -32603.
                let _ = catch_unwind(AssertUnwindSafe(|| run(&caller, params, deferred)));
            }
        }
    }

    /// Opens a stream of events, or refuses it.
    pub(crate) fn events(&self, caller: Caller, request: StreamRequest, opener: Opener) {
        match &self.on_events {
            // A panic drops the right to reply, and the reply is 500.
            Some(on_events) => drop(catch_unwind(AssertUnwindSafe(|| on_events(&caller, &request, opener)))),
            None => opener.refuse(404, "there are no events here\n"),
        }
    }

    /// Calls the function of [`Dispatcher::on_pipelined`].
    pub(crate) fn pipelined(&self, connection: ConnectionId) {
        (self.on_pipelined)(connection);
    }

    /// Adds the metrics of calls, and those of [`Dispatcher::on_metrics`].
    pub(crate) fn metrics(&self, out: &mut Metrics) {
        (self.extra_metrics)(out);
        let by_procedure = |read: fn(&CallCounts) -> &AtomicU64| {
            self.procedures
                .iter()
                .map(move |procedure| (procedure.name, read(&procedure.counts).load(Ordering::Relaxed)))
        };
        out.counters("rpc_calls_total", "Calls by procedure", "procedure", by_procedure(|counts| &counts.calls));
        out.counters(
            "rpc_faults_total",
            "Calls answered with a fault, by procedure",
            "procedure",
            by_procedure(|counts| &counts.faults),
        );
    }
}
