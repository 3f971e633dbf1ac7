//! What the program prints, to the letter. After a change on purpose: `TRYCMD=overwrite cargo test -p taut --test golden`.

#[test]
fn the_program_prints_what_it_always_printed() {
    trycmd::TestCases::new()
        .env("TERM", "dumb")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}
