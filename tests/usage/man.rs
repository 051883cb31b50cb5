//! The man pages, as the formatters of BSD and GNU see them.

use super::*;

#[test]
fn u9_mandoc_finds_no_fault() {
    for program in programs() {
        let Some(output) = run_tool("mandoc", &["-T", "lint"], &page_of(program)) else { return };
        // The pages refer to others, which need not be installed.
        let said = utf8(&output.stdout).lines().chain(utf8(&output.stderr).lines());
        let is_fault =
            |line: &&str| !line.contains("manual not found") && !line.contains("mandoc.db");
        let faults: Vec<_> = said.filter(is_fault).collect();
        assert!(faults.is_empty(), "{program}: {faults:#?}");
    }
}

#[test]
fn u9_groff_finds_no_fault() {
    for program in programs() {
        let args = ["-mdoc", "-Tutf8", "-ww", "-rLL=78n"];
        let Some(output) = run_tool("groff", &args, &page_of(program)) else { return };
        assert!(output.status.success() && output.stderr.is_empty(), "{}", utf8(&output.stderr));
        assert!(utf8(&output.stdout).contains("128 plus its number"), "{output:?}");
    }
}

#[test]
fn u9_page_has_its_sections() {
    for program in programs() {
        let page = page_of(program);
        let titles: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".Sh ")).collect();
        let usual = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "FILES"];
        assert_eq!(titles, [&usual[..], &["EXIT STATUS", "EXAMPLES", "SEE ALSO"]].concat());
    }
}

#[test]
fn u9_examples_fit_one_line() {
    for program in programs() {
        // groff(1) indents a command by 11 columns. A broken line would be another command in a shell.
        let page = page_of(program);
        let mut commands = page.lines().filter_map(|line| line.strip_prefix(".Dl "));
        assert!(commands.all(|command| command.replace('\\', "").len() <= 67), "{page}");
    }
}

#[test]
fn u9_page_reads_well_at_80_columns() {
    for program in programs() {
        let args = ["-T", "utf8", "-O", "width=78"];
        let Some(output) = run_tool("mandoc", &args, &page_of(program)) else { return };
        // Bold and underlined text is overstruck.
        let page: String = utf8(&output.stdout).split('\u{8}').fold(String::new(), |page, part| {
            let mut page = page;
            page.pop();
            page + part
        });
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        for line in ["     -h, --help", "EXIT STATUS", "     2       If "] {
            assert!(page.contains(line), "{line}: {page}");
        }
    }
}
