//! Many runs: specification, engine, statistics, tables and figures.
