//! Reading and writing XML-RPC: tables both ways, round trips, and documents that peers and attackers write.

// Clippy spares only what is marked `#[test]`, and not what the tests share.
#![allow(clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use chat_rpc::rpc::{
    Call, DateTime, DocumentLimits, Fault, ReadError, Value, forbidden_char, read_call, read_call_with_xml_rs,
    read_response, read_response_with_xml_rs, write,
};
use proptest::prelude::*;

/// The document of a call with one parameter.
fn call_with(value: &str) -> String {
    format!("<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>")
}

/// Reads a call both ways, and insists that there is one answer.
fn read_both(document: impl AsRef<[u8]>) -> Result<Call, ReadError> {
    let document = document.as_ref();
    let call = read_call(document, &DocumentLimits::default());
    let slowly = read_call_with_xml_rs(document, &DocumentLimits::default());
    // Compared as text, since NaN does not equal itself.
    assert_eq!(format!("{call:?}"), format!("{slowly:?}"), "{:?}", String::from_utf8_lossy(document));
    call
}

fn read_value(value: &str) -> Result<Value, ReadError> {
    read_both(call_with(value)).map(|call| call.params.into_iter().next().expect("a parameter"))
}

fn written(value: &Value) -> String {
    let mut out = String::new();
    write::value(&mut out, value);
    out
}

fn date(text: &str) -> DateTime {
    DateTime::parse(text).unwrap_or_else(|| panic!("{text} is no date"))
}

fn strings(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|&text| text.into()).collect())
}

fn structure(members: &[(&str, Value)]) -> Value {
    Value::Struct(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

#[test]
fn every_value_is_written_in_its_strictest_form_and_read_back() {
    let table = [
        (Value::Int(0), "<int>0</int>"),
        (Value::Int(-2_147_483_648), "<int>-2147483648</int>"),
        (Value::Int(2_147_483_647), "<int>2147483647</int>"),
        (Value::Int(2_147_483_648), "<i8>2147483648</i8>"),
        (Value::Int(i64::MIN), "<i8>-9223372036854775808</i8>"),
        (Value::Boolean(true), "<boolean>1</boolean>"),
        (Value::Boolean(false), "<boolean>0</boolean>"),
        ("".into(), "<string></string>"),
        (" a\tb\nc ".into(), "<string> a\tb\nc </string>"),
        ("a\r\nb".into(), "<string>a&#13;\nb</string>"),
        ("<&>\"']]>".into(), "<string>&lt;&amp;&gt;\"']]&gt;</string>"),
        ("João 😀 \u{FFFD}\u{FF01}".into(), "<string>João 😀 \u{FFFD}\u{FF01}</string>"),
        (Value::Double(0.0), "<double>0.0</double>"),
        (Value::Double(-0.5), "<double>-0.5</double>"),
        (Value::Double(1e21), "<double>1000000000000000000000.0</double>"),
        (Value::Double(1e-7), "<double>0.0000001</double>"),
        (Value::Double(f64::INFINITY), "<double>inf</double>"),
        (Value::Double(f64::NEG_INFINITY), "<double>-inf</double>"),
        (Value::DateTime(date("19980717T14:08:55")), "<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>"),
        (Value::DateTime(date("00010101T00:00:00")), "<dateTime.iso8601>00010101T00:00:00</dateTime.iso8601>"),
        (Value::Base64(vec![]), "<base64></base64>"),
        (Value::Base64(b"you can't read this!".to_vec()), "<base64>eW91IGNhbid0IHJlYWQgdGhpcyE=</base64>"),
        (Value::Array(vec![]), "<array><data></data></array>"),
        (
            Value::Array(vec![Value::Int(1), "a".into()]),
            "<array><data><value><int>1</int></value><value><string>a</string></value></data></array>",
        ),
        (Value::Struct(vec![]), "<struct></struct>"),
        (
            structure(&[("b<", Value::Nil), ("a", true.into())]),
            "<struct><member><name>b&lt;</name><value><nil/></value></member>\
             <member><name>a</name><value><boolean>1</boolean></value></member></struct>",
        ),
        (Value::Nil, "<nil/>"),
    ];
    for (value, xml) in table {
        let xml = format!("<value>{xml}</value>");
        assert_eq!(written(&value), xml);
        assert_eq!(read_value(&xml), Ok(value), "{xml}");
    }
    assert_eq!(written(&Value::Double(f64::NAN)), "<value><double>nan</double></value>");
}

#[test]
fn every_form_that_the_world_writes_is_read() {
    let table: Vec<(&str, Value)> = vec![
        // Integers of every width.
        ("<i1>-128</i1>", (-128).into()),
        ("<i2>300</i2>", 300.into()),
        ("<i4>+5</i4>", 5.into()),
        ("<int> \n7\t</int>", 7.into()),
        ("<int>-0</int>", 0.into()),
        ("<int>007</int>", 7.into()),
        ("<i4>5000000000</i4>", 5_000_000_000.into()),
        ("<i8>-9223372036854775808</i8>", i64::MIN.into()),
        ("<biginteger>9223372036854775807</biginteger>", i64::MAX.into()),
        ("<ex:i8>1</ex:i8>", 1.into()),
        ("<ex:biginteger>1</ex:biginteger>", 1.into()),
        // Doubles in every spelling.
        ("<double>1</double>", Value::Double(1.0)),
        ("<double>1.</double>", Value::Double(1.0)),
        ("<double>.5</double>", Value::Double(0.5)),
        ("<double>+1.5</double>", Value::Double(1.5)),
        ("<double> -1.5E-3 </double>", Value::Double(-0.0015)),
        ("<double>1e+300</double>", Value::Double(1e300)),
        ("<double>1e-999</double>", Value::Double(0.0)),
        ("<double>inf</double>", Value::Double(f64::INFINITY)),
        ("<double>-INF</double>", Value::Double(f64::NEG_INFINITY)),
        ("<double>Infinity</double>", Value::Double(f64::INFINITY)),
        ("<ex:float>0.25</ex:float>", Value::Double(0.25)),
        // Booleans.
        ("<boolean> 1 </boolean>", true.into()),
        ("<boolean>true</boolean>", true.into()),
        ("<boolean>false</boolean>", false.into()),
        // Strings, typed and not; white space inside is content, around a type it is not.
        ("", "".into()),
        ("a", "a".into()),
        (" \n", " \n".into()),
        (" a &amp; b ", " a & b ".into()),
        ("<string/>", "".into()),
        ("<string />", "".into()),
        ("\n  <string> a </string>\n", " a ".into()),
        ("<string>a\r\nb\rc&#13;</string>", "a\nb\nc\r".into()),
        ("<string>a<!-- b -->c<![CDATA[<d>]]></string>", "ac<d>".into()),
        ("&#74;o&#xE3;o", "João".into()),
        // Nothing.
        ("<nil/>", Value::Nil),
        ("<nil></nil>", Value::Nil),
        ("<ex:nil/>", Value::Nil),
        // Dates.
        ("<dateTime.iso8601> 19980717T14:08:55 </dateTime.iso8601>", Value::DateTime(date("19980717T14:08:55"))),
        ("<ex:dateTime>1998-07-17T14:08:55.5Z</ex:dateTime>", Value::DateTime(date("19980717T140855Z"))),
        // Bytes, wrapped or not, padded or not.
        ("<base64/>", Value::Base64(vec![])),
        ("<base64>\n AAEC\r\n\tAw==\n</base64>", Value::Base64(vec![0, 1, 2, 3])),
        ("<base64>AAECAw</base64>", Value::Base64(vec![0, 1, 2, 3])),
        // Arrays.
        ("<array/>", Value::Array(vec![])),
        ("<array><data/></array>", Value::Array(vec![])),
        ("<array> <data>\n<value>a</value> <value/>\n</data> </array>", strings(&["a", ""])),
        // Structs; members in any order, untyped values in them.
        ("<struct/>", Value::Struct(vec![])),
        (
            "<struct>\n<member> <name>b</name> <value>1</value> </member>\n<member><value/><name/></member></struct>",
            structure(&[("b", "1".into()), ("", "".into())]),
        ),
    ];
    for (xml, value) in table {
        assert_eq!(read_value(&format!("<value>{xml}</value>")), Ok(value), "{xml}");
    }
    let nan = read_value("<value><double>NaN</double></value>");
    assert!(matches!(nan, Ok(Value::Double(number)) if number.is_nan()), "{nan:?}");
}

#[test]
fn dates_are_read_in_every_form_and_written_in_one() {
    let table = [
        ("19980717T14:08:55", "19980717T14:08:55", None),
        ("19980717T140855", "19980717T14:08:55", None),
        ("1998-07-17T14:08:55", "19980717T14:08:55", None),
        ("1998-07-17 14:08:55", "19980717T14:08:55", None),
        ("1998-07-17t14:08:55z", "19980717T14:08:55", Some(0)),
        ("19980717T14:08:55Z", "19980717T14:08:55", Some(0)),
        ("19980717T14:08:55+01", "19980717T14:08:55", Some(3600)),
        ("19980717T14:08:55-0330", "19980717T14:08:55", Some(-12_600)),
        ("19980717T14:08:55+05:45", "19980717T14:08:55", Some(20_700)),
        ("19980717T14:08:55.123456789", "19980717T14:08:55", None),
        ("19980717T14:08:55,5-03:00", "19980717T14:08:55", Some(-10_800)),
        (" 00000229T00:00:00\n", "00000229T00:00:00", None),
        ("99991231T23:59:59", "99991231T23:59:59", None),
    ];
    for (text, stated, offset) in table {
        let date = date(text);
        assert_eq!(date.to_string(), stated, "{text}");
        assert_eq!(date.offset().map(|offset| offset.local_minus_utc()), offset, "{text}");
        assert_eq!(date.stated(), DateTime::parse(stated).expect("a date").stated());
    }
    let refused = [
        "",
        "T",
        "19980717",
        "19980717T",
        "19980717T14",
        "19980717T14:08",
        "1998-0717T14:08:55",
        "199807-17T14:08:55",
        "19980717T14:0855",
        "19980717T1408:55",
        "19981317T14:08:55",
        "19980732T14:08:55",
        "19990229T00:00:00",
        "19980717T24:00:00",
        "19980717T14:60:55",
        "19980717T14:08:60",
        "19980717T14:08:55.",
        "19980717T14:08:55+",
        "19980717T14:08:55+1",
        "19980717T14:08:55+01:",
        "19980717T14:08:55+01:6",
        "19980717T14:08:55+01:60",
        "19980717T14:08:55+24:00",
        "19980717T14:08:55Zx",
        "19980717T14:08:55Z+01",
        "+9980717T14:08:55",
        "１9980717T14:08:55",
    ];
    for text in refused {
        assert_eq!(DateTime::parse(text), None, "{text}");
    }
}

#[test]
fn a_document_is_written_without_white_space() {
    let declaration = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    assert_eq!(
        write::call("a.b", &["c".into(), Value::Nil]),
        format!(
            "{declaration}<methodCall><methodName>a.b</methodName><params><param><value><string>c</string></value></param>\
             <param><value><nil/></value></param></params></methodCall>"
        )
    );
    assert_eq!(
        write::response(&written(&Value::Int(1))),
        format!(
            "{declaration}<methodResponse><params><param><value><int>1</int></value></param></params></methodResponse>"
        )
    );
    assert_eq!(
        write::fault_document(&Fault::new(Fault::NO_SUCH_ROOM, "<no> \u{1B}")),
        format!(
            "{declaration}<methodResponse><fault><value><struct>\
             <member><name>faultCode</name><value><int>3</int></value></member>\
             <member><name>faultString</name><value><string>&lt;no&gt; \u{FFFD}</string></value></member>\
             </struct></value></fault></methodResponse>"
        )
    );
}

#[test]
fn a_character_that_xml_forbids_is_found_and_never_written() {
    for forbidden in (0..0x20).filter(|c| ![9, 10, 13].contains(c)).chain([0xFFFE, 0xFFFF]) {
        let forbidden = char::from_u32(forbidden).expect("a character");
        let text = format!("a{forbidden}b");
        assert_eq!(forbidden_char(&text), Some(forbidden));
        let xml = written(&text.into());
        assert_eq!(xml, "<value><string>a\u{FFFD}b</string></value>", "{forbidden:?}");
        assert_eq!(read_value(&xml), Ok("a\u{FFFD}b".into()));
    }
    assert_eq!(forbidden_char("\t\n\r \u{7F}\u{85}\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}"), None);
}

#[test]
fn the_last_of_two_members_of_one_name_counts() {
    let member = |value| format!("<member><name>a</name><value>{value}</value></member>");
    let value =
        read_value(&format!("<value><struct>{}{}</struct></value>", member("1"), member("2"))).expect("a value");
    assert_eq!(value.member("a"), Some(&"2".into()));
    assert_eq!(value.member("b"), None);
}

#[test]
fn an_answer_is_a_value_or_a_fault() {
    let read = |document: &str| {
        let answer = read_response(document.as_bytes(), &DocumentLimits::default());
        assert_eq!(answer, read_response_with_xml_rs(document.as_bytes(), &DocumentLimits::default()));
        answer
    };
    assert_eq!(read(&write::response(&written(&"a".into()))), Ok(Ok("a".into())));
    let fault = Fault::new(Fault::NAME_IN_USE, "the name is in use");
    assert_eq!(read(&write::fault_document(&fault)), Ok(Err(fault)));
    assert_eq!(read("<methodResponse><params/></methodResponse>"), Ok(Ok(Value::Nil)));
}

#[test]
fn a_refusal_says_what_and_where_and_has_its_code() {
    let table: Vec<(String, i32, &str)> = vec![
        ("".into(), Fault::PARSE, "not well-formed XML: an end of the document before that of an element at byte 0"),
        ("<methodCall>".into(), Fault::PARSE, "an end of the document before that of an element at byte 12"),
        ("<evil1></evil2>".into(), Fault::PARSE, "an end tag that does not match at byte 15"),
        (call_with("<value>&evil;</value>"), Fault::PARSE, "an unknown entity at byte 66"),
        (call_with("<value>\u{1B}</value>"), Fault::PARSE, "a character that XML forbids at byte 61"),
        (call_with("<value>&#27;</value>"), Fault::PARSE, "a character that XML forbids at byte 65"),
        (format!("{0}{0}", call_with("<value/>")), Fault::PARSE, "a syntax error at byte"),
        (format!("{}evil", call_with("<value/>")), Fault::PARSE, "text outside the root element at byte"),
        (
            "<?xml version='1.0'?><!DOCTYPE evil><methodCall/>".into(),
            Fault::PARSE,
            "a document type declaration, which is not accepted, at byte 21",
        ),
        (
            "<?xml version='1.0' encoding='evil'?><methodCall/>".into(),
            Fault::PARSE,
            "an encoding other than UTF-8, UTF-16, US-ASCII and ISO-8859-1 at byte 37",
        ),
        ("<?xml version='1.1'?><a/>".into(), Fault::PARSE, "a version of XML other than 1.0 at byte 21"),
        ("<evil/>".into(), Fault::INVALID_CALL, "not XML-RPC: another element instead of <methodCall> at byte 7"),
        ("<methodCall/>".into(), Fault::INVALID_CALL, "no <methodName> at byte"),
        (call_with("<value><evil/></value>"), Fault::INVALID_CALL, "an element that is not a type at byte"),
        (call_with("<value><int>evil</int></value>"), Fault::INVALID_CALL, "an integer that is none at byte"),
        (call_with("evil<value/>"), Fault::INVALID_CALL, "text where none belongs at byte"),
        (
            call_with("<value><int>9223372036854775808</int></value>"),
            Fault::LIMIT,
            "beyond a limit: an integer of more than 64 bits at byte",
        ),
        // What is neither XML-RPC nor XML is called the latter.
        ("<evil><p>".into(), Fault::PARSE, "an end of the document before that of an element at byte 9"),
    ];
    for (document, code, message) in table {
        let fault = read_both(&document).expect_err(&document).to_fault();
        assert_eq!(fault.code, code, "{document}: {fault}");
        assert!(fault.message.contains(message), "{document}: {fault}");
        assert!(!fault.message.contains("evil"), "{fault}");
    }
}

#[test]
fn base64_that_is_not_quite_some_is_refused() {
    for text in
        ["A", "AAECAw=", "AAECAw===", "AAE==", "AA==AA==", "====", "=", "AAECAx==", "AAECAx", "AA-_", "AA*A", "ÀAAA"]
    {
        let document = call_with(&format!("<value><base64>{text}</base64></value>"));
        let error = read_call(document.as_bytes(), &DocumentLimits::default()).expect_err(text);
        assert!(error.to_string().contains("a <base64> that is none"), "{text}: {error}");
    }
}

/// Returns the time that this thread was on a processor. On a busy machine the clock on the wall says nothing.
fn processor_time() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").expect("the statistics of Linux");
    let nanoseconds = statistics.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// Asserts that the document is refused at once, and hands the reason on.
fn refused_at_once(document: impl AsRef<[u8]>) -> ReadError {
    let begin = processor_time();
    let error = read_call(document.as_ref(), &DocumentLimits::default()).expect_err("a refusal");
    let took = processor_time() - begin;
    assert!(took < Duration::from_millis(100), "took {took:?} to say: {error}");
    error
}

#[test]
fn an_entity_bomb_is_refused_before_it_is_read() {
    let entity = |name: &str, content: String| format!("<!ENTITY {name} \"{content}\">");
    let bomb = format!(
        "<!DOCTYPE x [{}{}{}]>{}",
        entity("a", "a".repeat(50_000)),
        entity("b", "&a;".repeat(200)),
        entity("c", "&b;".repeat(200)),
        call_with(&"&c;".repeat(20_000)),
    );
    assert!(matches!(refused_at_once(bomb), ReadError::NotWellFormed(_)));
    // xml-rs expands these before it says that there was a declaration.
    let bomb = format!(
        "<!DOCTYPE x [{}{}{}]>{}",
        entity("% a", "a".repeat(10_000)),
        entity("% b", "%a;".repeat(1000)),
        entity("% c", "%b;".repeat(40)),
        call_with("<value/>"),
    );
    let utf16: Vec<u8> = format!("\u{FEFF}{bomb}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(matches!(refused_at_once(bomb), ReadError::NotWellFormed(_)));
    assert!(matches!(refused_at_once(utf16), ReadError::NotWellFormed(_)));
}

#[test]
fn nesting_ends_at_its_limit() {
    // Three elements outside, one inside.
    let nested = |depth: usize| {
        call_with(&["<value><array><data>".repeat(depth), "</data></array></value>".repeat(depth)].concat())
    };
    assert!(read_both(nested(20)).is_ok());
    let error = read_both(nested(21)).expect_err("a refusal");
    assert!(error.to_string().contains("nested deeper than 64 at byte"), "{error}");
    // Exactly at the limit and one past it.
    let document = call_with("<value><int>1</int></value>");
    let limits = |depth| DocumentLimits { depth, ..DocumentLimits::default() };
    assert!(read_call(document.as_bytes(), &limits(5)).is_ok());
    assert!(matches!(read_call(document.as_bytes(), &limits(4)), Err(ReadError::TooMuch(_))));

    refused_at_once("<a>".repeat(40_000));
    let error = refused_at_once(call_with(&"<value><array><data>".repeat(13_000)));
    assert!(matches!(error, ReadError::TooMuch(_)), "{error}");
    // A limit beyond what the fast reader holds is honoured as well.
    assert!(read_call(nested(40).as_bytes(), &limits(200)).is_ok());
}

#[test]
fn elements_end_at_their_limit() {
    let values =
        |count: usize| call_with(&format!("<value><array><data>{}</data></array></value>", "<value/>".repeat(count)));
    // Methodcall, its name, params, param, value, array, data.
    assert!(read_both(values(10_000 - 7)).is_ok());
    let error = read_both(values(10_000 - 6)).expect_err("a refusal");
    assert!(error.to_string().contains("more than 10000 elements at byte"), "{error}");
    refused_at_once(values(100_000));
}

#[test]
fn namespaces_that_every_element_would_copy_are_refused() {
    let many = |count: usize| (0..count).map(|n| format!(" xmlns:n{n}='u'")).collect::<String>();
    let document = |count, values| {
        let values = "<value/>".repeat(values);
        let call = call_with(&format!("<value><array><data>{values}</data></array></value>"));
        call.replacen("<methodCall", &format!("<methodCall{}", many(count)), 1)
    };
    assert!(read_both(document(16, 9000)).is_ok());
    assert!(read_both(document(50, 93)).is_ok());
    let error = read_both(document(50, 94)).expect_err("a refusal");
    assert!(matches!(error, ReadError::TooMuch(_)), "{error}");
    refused_at_once(document(2500, 3500));
    // The same names again on every level.
    let level = format!("<value{0}><array{0}><data{0}>", many(16)).repeat(20);
    let error = refused_at_once(call_with(&format!("{level}{}", "<value/>".repeat(3000))));
    assert!(matches!(error, ReadError::TooMuch(_)), "{error}");
    // Text may speak of them.
    let text = format!("<value><![CDATA[{}]]></value>", many(3000));
    assert!(read_both(call_with(&text)).is_ok());
}

#[test]
fn many_and_long_attributes_are_refused() {
    let document = |attributes: &str| format!("<methodCall {attributes}><methodName>m</methodName></methodCall>");
    let many = |count: usize| (0..count).map(|n| format!(" a{n}=''")).collect::<String>();
    assert!(read_both(document(&many(16))).is_ok());
    assert!(read_both(document(&many(17))).is_err());
    assert!(read_both(document(&format!("a='{}'", "a".repeat(256)))).is_ok());
    assert!(read_both(document(&format!("a='{}'", "a".repeat(300)))).is_err());
    refused_at_once(document(&many(5000)));
}

#[test]
fn long_numbers_are_refused_at_once() {
    for tag in ["int", "biginteger", "double"] {
        let error = refused_at_once(call_with(&format!("<value><{tag}>{}</{tag}></value>", "9".repeat(60_000))));
        assert!(matches!(error, ReadError::TooMuch(_)), "{error}");
    }
}

/// All files below `tests/corpus/`, with a flag whether they are to be accepted.
///
/// `accepted` holds what peers write and what is valid though rare, `refused` what is hostile or wrong. Findings of the fuzz
/// targets belong here.
fn corpus() -> Vec<(String, Vec<u8>, bool)> {
    let mut files = Vec::new();
    for (directory, accepted) in [("accepted", true), ("refused", false)] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(directory);
        for entry in fs::read_dir(directory).expect("the corpus") {
            let path = entry.expect("an entry").path();
            files.push((path.display().to_string(), fs::read(&path).expect("a file"), accepted));
        }
    }
    files
}

#[test]
fn the_corpus_is_accepted_and_refused_as_it_should_be() {
    let files = corpus();
    assert!(files.len() > 100);
    for (name, document, accepted) in files {
        let limits = DocumentLimits::default();
        let call = read_both(&document);
        let response = read_response(&document, &limits);
        assert_eq!(format!("{response:?}"), format!("{:?}", read_response_with_xml_rs(&document, &limits)), "{name}");
        assert_eq!(call.is_ok() || response.is_ok(), accepted, "{name}: {call:?} {response:?}");
    }
}

#[test]
fn what_peers_mean_is_what_is_read() {
    let corpus = corpus();
    let call = |name: &str| {
        let (_, document, _) = corpus.iter().find(|(path, ..)| path.ends_with(name)).expect(name);
        read_both(document).expect(name)
    };
    assert_eq!(
        call("accepted/python-call.xml"),
        Call {
            method: "send_message".into(),
            params: vec!["alice".into(), "lobby".into(), "olá & adeus <3".into(), Value::Nil],
        }
    );
    assert_eq!(call("accepted/dotnet-call.xml").params, [Value::Int(41), "".into()]);
    assert_eq!(call("accepted/php-latin1.xml").params, ["João ã".into()]);
    assert_eq!(call("accepted/perl-frontier.xml").params, ["João".into()]);
    assert_eq!(call("accepted/utf16-le.xml").params, ["João 😀".into()]);
    assert_eq!(call("accepted/utf16-be.xml").params, ["João 😀".into()]);
    assert_eq!(call("accepted/unbound-ex-nil.xml").params, [Value::Nil]);
    assert_eq!(call("accepted/javascript-cdata.xml").params, ["<b>&amp; ]]></b><!DOCTYPE html>".into()]);
    assert_eq!(
        call("accepted/apache-extensions.xml").params,
        [Value::Nil, i64::MAX.into(), 7.into(), Value::Double(1.5), Value::DateTime(date("20240229T23:59:59+01:00")),]
    );
}

/// Text of every kind, with a liking for what is special in XML.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![any::<char>(), prop::sample::select("<&>]\r\n\t '\";#/é".chars().collect::<Vec<_>>())],
        0..40,
    )
    .prop_map(String::from_iter)
}

fn is_forbidden(c: char) -> bool {
    forbidden_char(c.encode_utf8(&mut [0; 4])).is_some()
}

fn clean_text() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| text.replace(is_forbidden, ""))
}

fn any_date() -> impl Strategy<Value = DateTime> {
    (0..10_000, 1..=12, 1..=28, 0..24, 0..60, 0..60).prop_map(|(year, month, day, hour, minute, second)| {
        date(&format!("{year:04}{month:02}{day:02}T{hour:02}:{minute:02}:{second:02}"))
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|number| Value::Int(number.into())),
        any::<bool>().prop_map(Value::Boolean),
        clean_text().prop_map(Value::String),
        any::<f64>().prop_filter("NaN does not equal itself", |number| !number.is_nan()).prop_map(Value::Double),
        any_date().prop_map(Value::DateTime),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Value::Base64),
        Just(Value::Nil),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((clean_text(), inner), 0..6).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn a_call_survives_writing_and_reading(method in "[A-Za-z0-9_.:/]{1,20}", params in prop::collection::vec(any_value(), 0..4)) {
        let document = write::call(&method, &params);
        prop_assert_eq!(read_both(&document), Ok(Call { method, params }));
    }

    #[test]
    fn an_answer_survives_writing_and_reading(value in any_value(), code in any::<i32>(), message in clean_text()) {
        let document = write::response(&written(&value));
        prop_assert_eq!(read_response(document.as_bytes(), &DocumentLimits::default()), Ok(Ok(value)));
        let fault = Fault::new(code, message);
        let document = write::fault_document(&fault);
        prop_assert_eq!(read_response(document.as_bytes(), &DocumentLimits::default()), Ok(Err(fault)));
    }

    #[test]
    fn text_is_written_so_that_it_can_be_read(text in any_text()) {
        let clean = text.replace(is_forbidden, "\u{FFFD}");
        prop_assert_eq!(read_value(&written(&text.into())), Ok(clean.into()));
    }

    #[test]
    fn the_readers_agree_on_spoilt_documents(
        value in any_value(),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, any_text()), 1..4),
    ) {
        let mut document = write::call("m", &[value]).into_bytes();
        for (at, gone, put) in spoils {
            let at = at.index(document.len());
            let end = (at + gone).min(document.len());
            document.splice(at..end, put.bytes().take(3));
        }
        // Asserts what it promises, the result is of no interest.
        let _ = read_both(&document);
    }
}
