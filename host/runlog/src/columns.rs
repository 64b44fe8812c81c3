//! The kinds of columns: one list a table gives the Arrow schema, the Parquet encodings, and the arrays both ways.

use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::Error;

/// What a column holds; decides its Arrow type, Parquet type and encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Few distinct strings: Arrow dictionary, Parquet STRING.
    Word,
    /// Free text: Arrow Utf8, Parquet STRING.
    Text,
    /// A count or a duration, never negative: INT64, because subtracting unsigned columns in SQL ends in errors.
    Count,
    /// A 64-bit pattern that uses its top bit: UINT64.
    Bits,
    /// DOUBLE that was measured: all values differ.
    Real,
    /// DOUBLE that a schedule chose: often the same values over and over.
    Rate,
    /// Milliseconds since 1970, UTC: TIMESTAMP.
    Time,
}

impl Kind {
    /// Its type in Arrow.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Word => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Text => DataType::Utf8,
            Self::Count => DataType::Int64,
            Self::Bits => DataType::UInt64,
            Self::Real | Self::Rate => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// Its type in Parquet, with the logical type where there is one.
    pub(crate) fn parquet(self) -> &'static str {
        match self {
            Self::Word | Self::Text => "STRING",
            Self::Count => "INT64",
            Self::Bits => "UINT64",
            Self::Real | Self::Rate => "DOUBLE",
            Self::Time => "TIMESTAMP(ms, UTC)",
        }
    }
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    /// The first version of the schema that has it.
    pub(crate) since: u32,
}

impl Column {
    /// The same column, which files before this version of the schema lack.
    pub(crate) const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }
}

/// A column that every row fills.
pub(crate) const fn required(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        optional: false,
        since: 1,
    }
}

/// A column that may be null.
pub(crate) const fn optional(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        optional: true,
        since: 1,
    }
}

/// The Arrow schema of a list of columns.
pub(crate) fn schema_of(columns: &[Column]) -> SchemaRef {
    let field = |c: &Column| Field::new(c.name, c.kind.arrow(), c.optional);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Dictionary-encoded strings.
pub(crate) fn words<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    let mut values = values.peekable();
    // The same word stands in thousands of rows: it is looked up once for all that follow one another.
    while let Some(value) = values.next() {
        let mut count = 1;
        while values.next_if(|next| *next == value).is_some() {
            count += 1;
        }
        match value {
            Some(word) => builder.append_values(word, count),
            None => builder.append_nulls(count),
        }
    }
    Arc::new(builder.finish())
}

/// One string, repeated.
pub(crate) fn same(value: &str, rows: usize) -> ArrayRef {
    let values: ArrayRef = Arc::new(StringArray::from_iter_values([value]));
    let keys = Int32Array::from_iter_values(std::iter::repeat_n(0, rows));
    Arc::new(DictionaryArray::new(keys, values))
}

/// Plain strings.
pub(crate) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// Numbers of kind [`Kind::Count`]; an error if one is over `i64::MAX`.
pub(crate) fn counts(
    column: &'static str,
    values: impl Iterator<Item = impl Into<Option<u64>>>,
) -> Result<ArrayRef, Error> {
    let fit = |value: Option<u64>| match value.map(i64::try_from) {
        None => Ok(None),
        Some(Ok(fits)) => Ok(Some(fits)),
        Some(Err(_)) => Err(Error::OutOfRange {
            column,
            value: value.unwrap_or_default().to_string(),
        }),
    };
    let array = values
        .map(|v| fit(v.into()))
        .collect::<Result<Int64Array, Error>>()?;
    Ok(Arc::new(array))
}

/// Numbers of kind [`Kind::Bits`].
pub(crate) fn bits(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

/// Numbers of kind [`Kind::Real`], their bits untouched.
pub(crate) fn reals(values: impl Iterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    Arc::new(values.map(Into::into).collect::<Float64Array>())
}

/// Milliseconds since 1970.
pub(crate) fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// Reads the columns of a batch by name. Its errors are sentences for [`Error::Damaged`].
pub(crate) struct Reader<'a>(pub(crate) &'a RecordBatch);

impl<'a> Reader<'a> {
    fn column(&self, name: &str) -> Result<&'a ArrayRef, String> {
        self.0
            .column_by_name(name)
            .ok_or_else(|| format!("it has no column `{name}`"))
    }

    /// Whether there is a column of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.column_by_name(name).is_some()
    }

    /// A string column, with or without dictionary.
    pub(crate) fn strings(&self, name: &'static str) -> Result<Strings<'a>, String> {
        let column = self.column(name)?;
        if let Some(plain) = column.as_string_opt::<i32>() {
            return Ok(Strings {
                name,
                keys: None,
                values: plain,
            });
        }
        let dictionary = column.as_dictionary_opt::<Int32Type>();
        match dictionary.and_then(|d| Some((d, d.values().as_string_opt::<i32>()?))) {
            Some((d, values)) => Ok(Strings {
                name,
                keys: Some(d),
                values,
            }),
            None => Err(format!(
                "its column `{name}` is {}, not text",
                column.data_type()
            )),
        }
    }

    /// A required column of kind [`Kind::Count`].
    pub(crate) fn counts(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Result<u64, String> + 'a, String> {
        let get = self.optional_counts(name)?;
        Ok(move |row| {
            get(row)?.ok_or_else(|| format!("its column `{name}` has no value in row {row}"))
        })
    }

    /// An optional column of kind [`Kind::Count`].
    pub(crate) fn optional_counts(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Result<Option<u64>, String> + 'a, String> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| wrong(name, column, "INT64"))?;
        Ok(move |row| {
            if array.is_null(row) {
                return Ok(None);
            }
            let value = array.value(row);
            u64::try_from(value)
                .map(Some)
                .map_err(|_| format!("its column `{name}` holds {value} in row {row}"))
        })
    }

    /// A required column of kind [`Kind::Bits`].
    pub(crate) fn bits(&self, name: &'static str) -> Result<impl Fn(usize) -> u64 + 'a, String> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<UInt64Type>()
            .ok_or_else(|| wrong(name, column, "UINT64"))?;
        Ok(move |row| array.value(row))
    }

    /// A required column of kind [`Kind::Real`].
    pub(crate) fn reals(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Result<f64, String> + 'a, String> {
        let get = self.optional_reals(name)?;
        Ok(move |row| {
            get(row).ok_or_else(|| format!("its column `{name}` has no value in row {row}"))
        })
    }

    /// An optional column of kind [`Kind::Real`].
    pub(crate) fn optional_reals(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<f64> + 'a, String> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| wrong(name, column, "DOUBLE"))?;
        Ok(move |row| array.is_valid(row).then(|| array.value(row)))
    }

    /// A required column of kind [`Kind::Time`].
    pub(crate) fn times(&self, name: &'static str) -> Result<impl Fn(usize) -> i64 + 'a, String> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<TimestampMillisecondType>()
            .ok_or_else(|| wrong(name, column, "TIMESTAMP in milliseconds"))?;
        Ok(move |row| array.value(row))
    }
}

fn wrong(name: &str, column: &ArrayRef, want: &str) -> String {
    format!("its column `{name}` is {}, not {want}", column.data_type())
}

/// A string column, ready to be read row by row.
pub(crate) struct Strings<'a> {
    name: &'static str,
    keys: Option<&'a DictionaryArray<Int32Type>>,
    values: &'a StringArray,
}

impl<'a> Strings<'a> {
    /// The string of a row, `None` for null.
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        let index = match self.keys {
            None => row,
            Some(dictionary) => dictionary.key(row)?,
        };
        self.values
            .is_valid(index)
            .then(|| self.values.value(index))
    }

    /// The string of a row that must have one.
    pub(crate) fn need(&self, row: usize) -> Result<&'a str, String> {
        self.get(row)
            .ok_or_else(|| format!("its column `{}` has no value in row {row}", self.name))
    }
}
