//! `sori man` and `sori completions`: every command and every option stands in them.

use std::fs;
use std::process::Command;

use super::serve::Directory;
use super::{result, sori};

/// Option names as a page writes them.
fn roff(text: &str) -> String {
    text.replace('-', "\\-")
}

/// The commands that `--help` names, with those below `store` and `config`.
fn commands() -> Vec<String> {
    let below = |words: &str| -> Vec<String> {
        let (_, help, _) = result(&sori(&format!("{words}--help"), 0).output().expect("starts"));
        let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect()
    };
    let mut all = below("");
    for outer in ["store", "config"] {
        all.extend(below(&format!("{outer} ")).into_iter().map(|inner| format!("{outer} {inner}")));
    }
    all
}

/// The long options in a command's `--help`.
fn options(command: &str) -> Vec<String> {
    let (_, help, _) = result(&sori(&format!("{command} --help"), 0).output().expect("starts"));
    let words = help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(str::split_whitespace);
    let long = words.filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches([',', ':']).to_owned());
    long.filter(|word| word.len() > 2).collect()
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let directory = Directory::new("man");
    let (status, out, err) = result(&sori(&format!("man {}", directory.0.display()), 0).output().expect("starts"));
    assert_eq!((status, out.as_str(), err.as_str()), (0, "", ""));
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in &commands {
        let name = format!("sori-{}.1", command.replace(' ', "-"));
        let page = fs::read_to_string(directory.0.join("man1").join(&name)).expect(&name);
        for option in options(command) {
            assert!(page.contains(&roff(&option)), "{option} is not in {name}");
        }
    }
    let page = fs::read_to_string(directory.0.join("man1/sori-serve.1")).expect("is there");
    assert!(page.contains(&roff("--test-config")) && page.contains(&roff("--port")), "{page}");
    let page = fs::read_to_string(directory.0.join("man5/sori.toml.5")).expect("is there");
    assert!(page.contains("\\fBmax_keepalive\\fR"));
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (status, script, _) = result(&sori(&format!("completions {shell}"), 0).output().expect("starts"));
        assert_eq!(status, 0, "{shell}");
        for word in commands().iter().flat_map(|command| command.split(' ')).chain(["test-config", "config-file"]) {
            assert!(script.contains(word), "{word} is not completed in {shell}");
        }
    }
    // Bash is everywhere, and can say whether it understands its script.
    let (_, script, _) = result(&sori("completions bash", 0).output().expect("starts"));
    let directory = Directory::new("completions");
    let file = directory.file("sori.bash", &script);
    assert!(Command::new("bash").args(["-n", &file]).status().expect("bash is there").success());
    let (status, _, err) = result(&sori("completions cmd", 0).output().expect("starts"));
    assert!(status == 2 && err.contains("bash"), "{err}");
}
