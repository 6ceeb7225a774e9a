// Starts `fenghuo rule lsp` for .rhai files and hands everything else to the language client.
const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

function activate() {
  const command = vscode.workspace.getConfiguration("fenghuo").get("path") || "fenghuo";
  const run = { command, args: ["rule", "lsp"], transport: TransportKind.stdio };
  client = new LanguageClient(
    "fenghuo",
    "烽火规则",
    { run, debug: run },
    { documentSelector: [{ scheme: "file", language: "rhai" }] }
  );
  return client.start();
}

function deactivate() {
  return client ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
