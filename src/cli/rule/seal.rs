//! `fenghuo rule bundle|sign|verify`: rules in one file that two people stand for.

use super::Found;
use crate::cli::{CliError, Ending, say};
use crate::engine::rule::{RuleSet, run_tests};
use crate::runtime::clock::Clock;
use crate::runtime::rollout::sealed::{Role, SealError, Sealed, entry, private_key, signers};
use std::path::{Path, PathBuf};

/// `rule bundle`
pub(super) fn bundle(dir: &PathBuf, out: &Path) -> Result<Ending, CliError> {
    let Found { sources, .. } = super::sources(Some(dir))?;
    let set = match RuleSet::check(&sources, Clock::System.now()) {
        Ok(set) => set,
        Err(found) => {
            for diagnostic in &found {
                say(&format!("{diagnostic}\n"));
            }
            say("规则有错误，没有打包");
            return Ok(Ending::Finding);
        }
    };
    let tests = run_tests(&set);
    let failed: Vec<_> = tests.iter().filter(|test| !test.is_passed()).collect();
    if !failed.is_empty() {
        for test in failed {
            say(&format!("{} {} 没有通过", test.file, test.name));
        }
        say("测试没有全部通过，没有打包；fenghuo rule test 说明原因");
        return Ok(Ending::Finding);
    }
    write(out, &Sealed::of(&sources))?;
    say(&format!(
        "{}：{} 条规则，{} 个测试通过，规则集 {}，尚无人签名",
        out.display(),
        set.rules().len(),
        tests.len(),
        set.hash()
    ));
    Ok(Ending::Fine)
}

/// `rule sign`
pub(super) fn sign(
    bundle: &Path,
    key: &Path,
    (name, role): (&str, &str),
) -> Result<Ending, CliError> {
    let role = Role::ALL
        .into_iter()
        .find(|known| known.name() == role)
        .ok_or_else(|| CliError::Usage(format!("\"{role}\" is no role; write maker or checker")))?;
    let key = private_key(key).map_err(|e| fault(&e))?;
    let mut sealed = Sealed::read(bundle).map_err(|e| fault(&e))?;
    sealed
        .sign(&key, (name, role), Clock::System.now())
        .map_err(|e| fault(&e))?;
    write(bundle, &sealed)?;
    say(&format!(
        "{name} 以 {role} 的身份签了规则集 {}。此人在签名人名单里的条目：\n\n{}",
        sealed.rule_set,
        entry(&key, name, role)
    ));
    Ok(Ending::Fine)
}

/// `rule verify`
pub(super) fn verify(bundle: &Path, file: &Path) -> Result<Ending, CliError> {
    let known = signers(file).map_err(|e| fault(&e))?;
    let sealed = Sealed::read(bundle).map_err(|e| fault(&e))?;
    for signature in &sealed.signatures {
        say(&format!(
            "{}（{}）签于 {}",
            signature.name, signature.role, signature.signed_at
        ));
    }
    match sealed.verify(&known) {
        Ok(_) => {
            say(&format!("可以使用：规则集 {}", sealed.rule_set));
            Ok(Ending::Fine)
        }
        Err(error) => {
            say(&format!("不能使用：{error}"));
            Ok(Ending::Finding)
        }
    }
}

fn fault(error: &SealError) -> CliError {
    CliError::Usage(crate::runtime::logging::chain(error))
}

fn write(path: &Path, sealed: &Sealed) -> Result<(), CliError> {
    // Beside it first, so that a watching engine never reads half a file.
    let beside = path.with_extension("fhb.part");
    std::fs::write(&beside, serde_json::to_string_pretty(sealed)? + "\n")?;
    Ok(std::fs::rename(&beside, path)?)
}
