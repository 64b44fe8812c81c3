//! The tables and their columns, for those who read the files with a program of their own.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use crate::columns::Column as Layout;
use crate::record::Record;
use crate::{EvalRow, EventRow, StepRow, SummaryRow};

/// A table of a run's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// A row per step: [`StepRow`].
    Steps,
    /// A row per evaluation: [`EvalRow`].
    Evals,
    /// A row per thing that happened: [`EventRow`].
    Events,
    /// A row per run that has ended: [`SummaryRow`].
    Summary,
}

/// A column of a table, as a reader meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type in Parquet, the logical one where there is one: `STRING`, `INT64`, `UINT64`, `DOUBLE`,
    /// `TIMESTAMP(ms, UTC)`.
    pub parquet: &'static str,
    /// Whether a row may have no value.
    pub nullable: bool,
    /// The first version of the schema that has it. Files before it lack the column.
    pub since: u32,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Steps, Self::Evals, Self::Events, Self::Summary];

    /// Its name, which is its folder's too, or its file's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steps => StepRow::TABLE,
            Self::Evals => EvalRow::TABLE,
            Self::Events => EventRow::TABLE,
            Self::Summary => SummaryRow::TABLE,
        }
    }

    /// Its columns, in the order of the files.
    pub fn columns(self) -> impl Iterator<Item = Column> {
        self.layout().iter().map(|column| Column {
            name: column.name,
            parquet: column.kind.parquet(),
            nullable: column.optional,
            since: column.since,
        })
    }

    /// The Arrow schema of a reader of any version's files: a column that older files lack may be null.
    pub fn schema(self) -> SchemaRef {
        let field = |column: &Layout| {
            let nullable = column.optional || column.since > 1;
            Field::new(column.name, column.kind.arrow(), nullable)
        };
        Arc::new(Schema::new(
            self.layout().iter().map(field).collect::<Vec<_>>(),
        ))
    }

    fn layout(self) -> &'static [Layout] {
        match self {
            Self::Steps => StepRow::COLUMNS,
            Self::Evals => EvalRow::COLUMNS,
            Self::Events => EventRow::COLUMNS,
            Self::Summary => SummaryRow::COLUMNS,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
