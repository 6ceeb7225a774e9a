//! `fenghuo rule lsp`: rules in an editor, over standard input and output.
//!
//! Diagnostics are those of `rule check` over the whole directory with the texts as they stand in the editor; quick fixes
//! are those of `--fix`; hover and completion come from the vocabulary; above each test stands how it went, and a click
//! runs it again.
//!
//! source   Language Server Protocol 3.17

mod text;
mod words;

use crate::cli::{CliError, Ending};
use crate::engine::rule::{self, Outcome, RuleSet, RuleSources, Severity, TestReport};
use crate::runtime::bundle;
use crate::runtime::clock::Clock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tower_lsp_server::jsonrpc::Result as Answer;
use tower_lsp_server::ls_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams,
    CodeActionProviderCapability, CodeActionResponse, CodeLens, CodeLensOptions, CodeLensParams,
    Command, CompletionOptions, CompletionParams, CompletionResponse, Diagnostic,
    DiagnosticSeverity, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, ExecuteCommandOptions, ExecuteCommandParams, Hover, HoverContents,
    HoverParams, HoverProviderCapability, InitializeParams, InitializeResult, MarkupContent,
    MarkupKind, MessageType, NumberOrString, Range, ServerCapabilities, ServerInfo,
    TextDocumentSyncCapability, TextDocumentSyncKind, TextEdit, Uri, WorkspaceEdit,
};
use tower_lsp_server::{Client, LanguageServer, LspService, Server};

/// The command behind the line above a test.
const RUN_TEST: &str = "fenghuo.runTest";

/// `rule lsp`
pub(super) fn lsp() -> Result<Ending, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (service, socket) = LspService::new(|client| Bench {
            client,
            texts: Mutex::default(),
        });
        let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
        Server::new(input, output, socket).serve(service).await;
    });
    // Standard input may still be waited for.
    runtime.shutdown_background();
    Ok(Ending::Fine)
}

/// The server: the texts that are open in the editor.
struct Bench {
    client: Client,
    texts: Mutex<BTreeMap<Uri, String>>,
}

/// A rule as it stands in the editor, among the rules of its directory.
struct Open {
    sources: RuleSources,
    /// Its name in the sources.
    name: String,
    text: String,
}

impl Bench {
    fn texts(&self) -> MutexGuard<'_, BTreeMap<Uri, String>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, uri: &Uri) -> String {
        self.texts().get(uri).cloned().unwrap_or_default()
    }

    fn open(&self, uri: &Uri) -> Option<Open> {
        let path = uri.to_file_path()?.into_owned();
        let text = self.text(uri);
        let dir = path
            .ancestors()
            .skip(1)
            .find(|dir| dir.join("laws.toml").exists());
        let (mut sources, name) = if let Some(dir) = dir {
            let name = inside(&path, dir).unwrap_or_default();
            (bundle::rules_in(dir).ok()?, name)
        } else {
            // A file by itself is checked with the tables that are built in.
            let mut sources = bundle::shipped_rules();
            sources.files.clear();
            let name = path.file_name()?.to_string_lossy();
            (sources, format!("complaint/{name}"))
        };
        let dir = dir.map(Path::to_path_buf).unwrap_or_default();
        let mut overlay: Vec<(String, String)> = vec![(name.clone(), text.clone())];
        for (other, text) in self.texts().iter() {
            let path = other.to_file_path().map(std::borrow::Cow::into_owned);
            if let Some(name) = path.and_then(|path: PathBuf| inside(&path, &dir)) {
                overlay.push((name, text.clone()));
            }
        }
        for (name, text) in overlay {
            sources.files.retain(|(file, _)| *file != name);
            sources.files.push((name, text));
        }
        // Of the others only those matter that may have the same number.
        let id = own_id(&text);
        let may_clash = |other: &str| id.is_some_and(|id| other.contains(id));
        sources
            .files
            .retain(|(file, other)| *file == name || may_clash(other));
        Some(Open {
            sources,
            name,
            text,
        })
    }

    async fn publish(&self, uri: Uri) {
        if let Some(open) = self.open(&uri) {
            let found = found(&open);
            let shown = found.iter().map(|one| shown(one, &open.text)).collect();
            self.client.publish_diagnostics(uri, shown, None).await;
        }
    }

    fn run(&self, uri: &Uri) -> Vec<TestReport> {
        let Some(open) = self.open(uri) else {
            return Vec::new();
        };
        let sources = RuleSources {
            files: vec![(open.name.clone(), open.text.clone())],
            ..open.sources
        };
        RuleSet::load(&sources).map_or(Vec::new(), |set| rule::run_tests(&set))
    }
}

/// The rule's number with its quotes, as it stands after `id:`.
fn own_id(text: &str) -> Option<&str> {
    let line = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("id:"))?;
    let id = line.trim_start();
    let end = id.strip_prefix('"')?.find('"')?;
    id.get(..end + 2).filter(|id| 2 < id.len())
}

fn inside(path: &Path, dir: &Path) -> Option<String> {
    let name = path.strip_prefix(dir).ok()?;
    let is_rule = name.extension().is_some_and(|ending| ending == "rhai");
    is_rule.then(|| name.to_string_lossy().replace('\\', "/"))
}

/// What is wrong with the open rule.
fn found(open: &Open) -> Vec<rule::Diagnostic> {
    let mut found = match RuleSet::check(&open.sources, Clock::System.now()) {
        Ok(set) => set.warnings().to_vec(),
        Err(found) => found,
    };
    found.retain(|one| one.file == open.name);
    found
}

fn shown(one: &rule::Diagnostic, text: &str) -> Diagnostic {
    let message = if one.help.is_empty() {
        one.message.clone()
    } else {
        format!("{}\n提示: {}", one.message, one.help)
    };
    Diagnostic {
        range: text::range(text, (one.line.max(1), one.column), one.width),
        severity: Some(match one.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(one.code.to_owned())),
        source: Some("fenghuo".to_owned()),
        message,
        ..Diagnostic::default()
    }
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some([".", "\"", "{", " "].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        code_action_provider: Some(CodeActionProviderCapability::Simple(true)),
        code_lens_provider: Some(CodeLensOptions {
            resolve_provider: Some(false),
        }),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![RUN_TEST.to_owned()],
            ..ExecuteCommandOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}

impl LanguageServer for Bench {
    async fn initialize(&self, _: InitializeParams) -> Answer<InitializeResult> {
        Ok(InitializeResult {
            capabilities: capabilities(),
            server_info: Some(ServerInfo {
                name: "fenghuo".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn shutdown(&self) -> Answer<()> {
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let document = params.text_document;
        self.texts().insert(document.uri.clone(), document.text);
        self.publish(document.uri).await;
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        let uri = params.text_document.uri;
        if let Some(change) = params.content_changes.into_iter().next_back() {
            self.texts().insert(uri.clone(), change.text);
        }
        self.publish(uri).await;
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        let uri = params.text_document.uri;
        self.texts().remove(&uri);
        self.client.publish_diagnostics(uri, Vec::new(), None).await;
    }

    async fn hover(&self, params: HoverParams) -> Answer<Option<Hover>> {
        let at = params.text_document_position_params;
        let text = self.text(&at.text_document.uri);
        let value = words::hover(&text::around(&text, at.position));
        Ok(value.map(|value| Hover {
            contents: HoverContents::Markup(MarkupContent {
                kind: MarkupKind::Markdown,
                value,
            }),
            range: None,
        }))
    }

    async fn completion(&self, params: CompletionParams) -> Answer<Option<CompletionResponse>> {
        let at = params.text_document_position;
        let text = self.text(&at.text_document.uri);
        let items = words::completion(&text::around(&text, at.position), &text);
        Ok(Some(CompletionResponse::Array(items)))
    }

    async fn code_action(&self, params: CodeActionParams) -> Answer<Option<CodeActionResponse>> {
        let uri = params.text_document.uri;
        let Some(open) = self.open(&uri) else {
            return Ok(None);
        };
        let actions = found(&open)
            .iter()
            .filter_map(|one| action(one, &open.text, &uri, params.range))
            .collect();
        Ok(Some(actions))
    }

    async fn code_lens(&self, params: CodeLensParams) -> Answer<Option<Vec<CodeLens>>> {
        let uri = params.text_document.uri;
        let text = self.text(&uri);
        let reports = self.run(&uri);
        let lenses = text.lines().zip(1..).filter_map(|(line, number)| {
            let name = line.strip_prefix("fn ")?.split_once('(')?.0.trim();
            name.starts_with("test_").then(|| CodeLens {
                range: text::range(&text, (number, 1), name.chars().count() + 3),
                command: Some(Command {
                    title: title(reports.iter().find(|report| report.name == name)),
                    command: RUN_TEST.to_owned(),
                    arguments: Some(vec![Value::from(uri.as_str()), Value::from(name)]),
                }),
                data: None,
            })
        });
        Ok(Some(lenses.collect()))
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Answer<Option<Value>> {
        let argument = |at: usize| params.arguments.get(at).and_then(Value::as_str);
        let (Some(uri), Some(name)) = (argument(0), argument(1)) else {
            return Ok(None);
        };
        let Ok(uri) = uri.parse::<Uri>() else {
            return Ok(None);
        };
        let reports = self.run(&uri);
        let (kind, message) = match reports.iter().find(|report| report.name == name) {
            None => (
                MessageType::WARNING,
                format!("{name} 没有运行：规则有错误，先改正"),
            ),
            Some(report) => match &report.outcome {
                Outcome::Passed => (MessageType::INFO, format!("{name} 通过")),
                Outcome::Failed { message, line, .. } => (
                    MessageType::ERROR,
                    format!("{name} 第 {line} 行：{message}"),
                ),
            },
        };
        self.client.show_message(kind, message.clone()).await;
        Ok(Some(Value::from(message)))
    }
}

fn title(report: Option<&TestReport>) -> String {
    match report.map(|report| &report.outcome) {
        None => "运行例子".to_owned(),
        Some(Outcome::Passed) => "✓ 通过（再运行）".to_owned(),
        Some(Outcome::Failed { message, .. }) => format!("✗ {message}（再运行）"),
    }
}

fn action(
    one: &rule::Diagnostic,
    text: &str,
    uri: &Uri,
    wanted: Range,
) -> Option<CodeActionOrCommand> {
    let fix = one.fix.as_ref()?;
    let shown = shown(one, text);
    if shown.range.end < wanted.start || wanted.end < shown.range.start {
        return None;
    }
    let place = text::range(text, (one.line, fix.column), fix.from.chars().count());
    let edit = TextEdit {
        range: place,
        new_text: fix.to.clone(),
    };
    Some(CodeActionOrCommand::CodeAction(CodeAction {
        title: format!("把 {} 改成 {}", fix.from, fix.to),
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![shown]),
        edit: Some(WorkspaceEdit {
            changes: Some([(uri.clone(), vec![edit])].into_iter().collect()),
            ..WorkspaceEdit::default()
        }),
        is_preferred: Some(true),
        ..CodeAction::default()
    }))
}
