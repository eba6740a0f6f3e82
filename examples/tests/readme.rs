//! What the README shows is what is compiled and run.

#[test]
fn the_embedding_example_in_the_readme_is_the_one_that_runs() {
    let example = include_str!("../embed_two_tools.rs");
    let readme = include_str!("../../README.md");
    let shown = example
        .split_once("// In the README from here\n")
        .and_then(|(_, rest)| rest.split_once("// to here\n"));
    let (code, _) = shown.unwrap();
    assert!(readme.contains(code), "the README shows another example");
}
