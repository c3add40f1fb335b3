//! The documents are true: their Python runs as it stands, and no procedure is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use chat_rpc::client::locale::{LANGUAGES, Locale};
use support::tools::needs;
use support::{binder, python, server, server_at, wait_for_a_server};

const PROCEDURES: &str = include_str!("../docs/procedures.md");

#[test]
fn every_procedure_and_its_parameters_are_documented() {
    needs!("python3");
    let binder = binder(&[]);
    let server = server(&[]);
    for program in [&binder, &server] {
        let client = chat_rpc::rpc::Client::new(program.address());
        for name in client.call("system.listMethods", &[]).unwrap().as_array().unwrap() {
            let name = name.as_str().unwrap();
            assert!(PROCEDURES.contains(&format!("`{name}")), "docs/procedures.md lacks {name}");
            let signatures = client.call("system.methodSignature", &[name.into()]).unwrap();
            let most =
                signatures.as_array().unwrap().iter().map(|one| one.as_array().unwrap().len() - 1).max().unwrap();
            let declared = PROCEDURES.split_once(&format!("| `{name}(")).and_then(|(_, rest)| rest.split_once(')'));
            if let Some((declared, _)) = declared {
                assert_eq!(declared.split(", ").filter(|name| !name.is_empty()).count(), most, "{name}({declared})");
            }
        }
    }
}

#[test]
fn the_python_of_the_readme_runs() {
    needs!("python3");
    let documents = [include_str!("../README.md"), include_str!("../README.pt-BR.md"), PROCEDURES];
    let blocks = documents.iter().flat_map(|document| document.split("```python\n").skip(1));
    let script = blocks.map(|block| block.split("```").next().unwrap()).collect::<Vec<_>>().join("\n");
    assert!(script.contains("lookup_procedure"));
    let binder = binder(&[]);
    let server = server_at(&binder, &[]);
    wait_for_a_server(binder.address());
    let script = script.replace("127.0.0.1:5000", binder.address()).replace("127.0.0.1:9000", server.address());
    // Twice, as a reader would.
    for _ in 0..2 {
        let printed = python(&script, &[] as &[&str]);
        assert!(printed.contains("bob broadcast hello all") && printed.contains("bob unicast only you"), "{printed}");
    }
}

/// The text of a picture, or of a part of a document, without what each recording changes.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_ascii_digit()).collect()
}

/// The texts of a picture, one after the other.
fn texts(svg: &str) -> String {
    let texts = svg.split("<text ").skip(1).filter_map(|rest| rest.split_once('>')?.1.split_once("</text>"));
    let text: String = texts.map(|(text, _)| text).collect();
    words(&text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn the_pictures_of_the_readme_show_what_the_programs_say() {
    let english = texts(include_str!("../docs/pictures/en.svg"));
    let portuguese = texts(include_str!("../docs/pictures/pt.svg"));
    let shows = |picture: &str, text: &str| assert!(picture.contains(&words(text)), "{text:?}: {picture}");
    for (locale, picture, room) in [(LANGUAGES[0], &english, "lobby"), (LANGUAGES[1], &portuguese, "varanda")] {
        let Locale { looking, found_chat, welcome, where_to, created_to_join, joined, joined_alone, came, .. } = locale;
        for text in [
            *looking,
            &found_chat("|", "|"),
            &welcome("ana"),
            where_to,
            &created_to_join(room),
            &joined_alone(room),
            &joined(room, "ana"),
            &came("joão", false),
        ] {
            // A bar stands for what each recording changes.
            text.split('|').for_each(|part| shows(picture, part));
        }
    }
    let as_text = include_str!("../README.md").split("```text\n").find(|block| block.starts_with("ana> ")).unwrap();
    shows(&english, as_text.split("```").next().unwrap());
}
