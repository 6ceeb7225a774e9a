//! The language server, as an editor talks to it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An editor with the server at the other end of two pipes.
struct Editor {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    asked: i64,
    /// What the server has said without being asked.
    told: Vec<Value>,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a message is made where it is sent"
)]
impl Editor {
    fn start() -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_fenghuo"))
            .args(["rule", "lsp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut editor = Self {
            to: server.stdin.take().unwrap(),
            from: BufReader::new(server.stdout.take().unwrap()),
            server,
            asked: 0,
            told: Vec::new(),
        };
        editor.ask("initialize", json!({ "capabilities": {} }));
        editor.tell("initialized", json!({}));
        editor
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{message}");
                return message["result"].clone();
            }
            self.told.push(message);
        }
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(
                0 < self.from.read_line(&mut line).unwrap(),
                "the server has gone"
            );
            match line.trim().split_once(": ") {
                Some((_, value)) => length = value.parse().unwrap(),
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The diagnostics that come next.
    fn diagnostics(&mut self) -> Vec<Value> {
        loop {
            let at = self
                .told
                .iter()
                .position(|m| m["method"] == "textDocument/publishDiagnostics");
            if let Some(at) = at {
                let message = self.told.remove(at);
                return message["params"]["diagnostics"].as_array().unwrap().clone();
            }
            let message = self.receive();
            self.told.push(message);
        }
    }

    fn stop(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.server.wait().unwrap().success());
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The address of a file that need not be there, in the folder of complaints of the province's rules.
fn address(name: &str) -> String {
    let path = root().join("rules/complaint").join(name);
    format!("file://{}", path.display())
}

fn open(editor: &mut Editor, name: &str, text: &str) -> (String, Vec<Value>) {
    let uri = address(name);
    editor.tell(
        "textDocument/didOpen",
        json!({ "textDocument": { "uri": uri, "languageId": "rhai", "version": 1, "text": text } }),
    );
    let found = editor.diagnostics();
    (uri, found)
}

fn broken(name: &str) -> String {
    std::fs::read_to_string(root().join("tests/broken").join(name)).unwrap()
}

/// The place just behind the first `needle` in the text.
fn behind(text: &str, needle: &str) -> Value {
    let at = text.find(needle).unwrap() + needle.len();
    let before = &text[..at];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap().encode_utf16().count();
    json!({ "line": line, "character": column })
}

fn labels(items: &Value) -> Vec<&str> {
    let items = items.as_array().unwrap();
    items
        .iter()
        .map(|item| item["label"].as_str().unwrap())
        .collect()
}

#[test]
fn an_editor_gets_diagnostics_and_mends_them() {
    let mut editor = Editor::start();
    let text = broken("wide-comma.rhai");
    let (uri, found) = open(&mut editor, "unsaved.rhai", &text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["code"], "wide-mark");
    assert_eq!(
        found[0]["range"]["start"],
        json!({ "line": 13, "character": 33 })
    );
    let actions = editor.ask(
        "textDocument/codeAction",
        json!({ "textDocument": { "uri": uri }, "range": found[0]["range"], "context": { "diagnostics": [] } }),
    );
    assert_eq!(actions[0]["title"], "把 ， 改成 ,");
    assert_eq!(actions[0]["edit"]["changes"][&uri][0]["newText"], ",");
    editor.tell(
        "textDocument/didChange",
        json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": [{ "text": text.replace('，', ",") }] }),
    );
    assert!(editor.diagnostics().is_empty());
    // A number that another rule of the directory has.
    let (_, found) = open(&mut editor, "twin.rhai", &broken("id-taken.rhai"));
    assert_eq!(found[0]["code"], "duplicate-id");
    editor.stop();
}

#[test]
fn an_editor_explains_and_completes_words() {
    let mut editor = Editor::start();
    let text = broken("param-unused.rhai");
    let (uri, _) = open(&mut editor, "words.rhai", &text);
    let at = |place: Value| json!({ "textDocument": { "uri": uri }, "position": place });
    for (place, expected) in [
        ("who.cou", "窗口内几条"),
        ("ev.problem", "问题类别"),
        ("who.count(\"compl", "投诉举报"),
        ("    hist", "要看多久以前的记录"),
        ("t.expect_n", "此刻应没有预警"),
    ] {
        let hover = editor.ask("textDocument/hover", at(behind(&text, place)));
        let value = hover["contents"]["value"].as_str().unwrap_or_default();
        assert!(value.contains(expected), "{place}: {hover}");
    }
    for (place, expected, unexpected) in [
        ("who.", "count_by", "problem_type"),
        ("ev.", "problem_type", "valid_to"),
        ("p.", "min_count", "count"),
        ("t.", "expect_none", "count_by"),
        ("who.count(\"", "complaint", "30d"),
        ("#{ problem_type: \"电器质量\"", "", "complaint"),
        ("warn(#{ ", "message", "complaint"),
        ("level: \"", "红", "complaint"),
        ("window, #{ ", "problem_type", "message"),
        ("    if ", "working_days", "problem_type"),
    ] {
        let items = editor.ask("textDocument/completion", at(behind(&text, place)));
        let labels = labels(&items);
        assert!(
            expected.is_empty() || labels.contains(&expected),
            "{place}: {labels:?}"
        );
        assert!(!labels.contains(&unexpected), "{place}: {labels:?}");
    }
    editor.stop();
}

#[test]
fn an_editor_runs_a_test_by_a_click() {
    let mut editor = Editor::start();
    let path = Path::new("rules/complaint/surge.rhai");
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let wrong = text.replace("投诉 6 件", "投诉 9 件");
    let (uri, found) = open(&mut editor, "surge.rhai", &wrong);
    assert!(found.is_empty(), "{found:?}");
    let lenses = editor.ask(
        "textDocument/codeLens",
        json!({ "textDocument": { "uri": uri } }),
    );
    let titles: Vec<&str> = lenses
        .as_array()
        .unwrap()
        .iter()
        .map(|lens| lens["command"]["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 5);
    assert_eq!(
        titles.iter().filter(|title| title.starts_with('✓')).count(),
        4,
        "{titles:?}"
    );
    let command = lenses
        .as_array()
        .unwrap()
        .iter()
        .map(|lens| &lens["command"])
        .find(|command| command["title"].as_str().unwrap().starts_with('✗'))
        .unwrap();
    let told = editor.ask(
        "workspace/executeCommand",
        json!({ "command": command["command"], "arguments": command["arguments"] }),
    );
    let told = told.as_str().unwrap();
    assert!(told.contains("应有黄色预警且含“投诉 9 件”"), "{told}");
    editor.stop();
}
