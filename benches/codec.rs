//! The cost of reading a call, on the fast path and by xml-rs, and of writing a message.

use std::hint::black_box;

use chat_rpc::rpc::{DocumentLimits, Value, read_call, read_call_with_xml_rs, read_response, write};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A `send_message` call as our own client and as Python's `xmlrpc.client` write it.
fn calls() -> [(&'static str, String); 3] {
    let text = "Hello everybody, is the build green again? <3";
    let call = |text: &str| {
        let params = ["alice".into(), "lobby".into(), text.into(), Value::Nil];
        write::call("send_message", &params)
    };
    let python = "<?xml version='1.0'?>\n<methodCall>\n<methodName>send_message</methodName>\n<params>\n\
        <param>\n<value><string>alice</string></value>\n</param>\n\
        <param>\n<value><string>lobby</string></value>\n</param>\n\
        <param>\n<value><string>Hello everybody, is the build green again? &lt;3</string></value>\n</param>\n\
        <param>\n<value><nil/></value></param>\n</params>\n</methodCall>\n";
    [("call", call(text)), ("call_from_python", python.to_owned()), ("call_of_3_7_kb", call(&text.repeat(75)))]
}

fn message(out: &mut String, id: i64) {
    write::structure(out, |out| {
        write::member(out, "id", |out| write::int(out, id));
        write::member(out, "type", |out| write::string(out, "broadcast"));
        write::member(out, "origin", |out| write::string(out, "alice"));
        write::member(out, "destination", |out| write::string(out, ""));
        write::member(out, "content", |out| write::string(out, "Is the build green again? <3"));
        write::member(out, "timestamp", |out| write::string(out, "2026-01-31 12:34:56.789"));
    });
}

fn reading(criterion: &mut Criterion) {
    let limits = DocumentLimits::default();
    let mut group = criterion.benchmark_group("read");
    for (name, call) in calls() {
        group.throughput(Throughput::Bytes(call.len() as u64));
        group.bench_function(name, |bench| {
            bench.iter(|| read_call(black_box(call.as_bytes()), &limits));
        });
        group.bench_function(format!("{name}_with_xml_rs"), |bench| {
            bench.iter(|| read_call_with_xml_rs(black_box(call.as_bytes()), &limits));
        });
    }
    let mut messages = String::new();
    write::array(&mut messages, |out| (0..50).for_each(|id| message(out, id)));
    let response = write::response(&messages);
    group.throughput(Throughput::Bytes(response.len() as u64));
    group.bench_function("response_of_50_messages", |bench| {
        bench.iter(|| read_response(black_box(response.as_bytes()), &limits));
    });
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut out = String::new();
    message(&mut out, 1);
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("message", |bench| {
        bench.iter(|| {
            out.clear();
            message(&mut out, black_box(1));
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
