//! The shape of a type as serde sees it: what two builds of a program must agree on to read each other's records.
//!
//! It is found by letting the type read itself from a reader that notes what is asked for. Names are those of the
//! source, never those of the compiler, so the same program has the same shapes whoever builds it.

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};
use std::fmt::{self, Write as _};

/// How deep a type is followed; what lies below is not told.
const DEPTH_MAX: usize = 8;

/// The shape of a type. Of an enum it has all names of variants, and what the first one holds.
pub fn shape_of<T: DeserializeOwned>() -> String {
    let mut shape = String::new();
    // A type that refuses what it is given is told as far as it was followed.
    let _ = T::deserialize(Tracer { shape: &mut shape, depth: 0 });
    shape
}

struct Tracer<'a> {
    shape: &'a mut String,
    depth: usize,
}

#[derive(Debug)]
struct Unsound;

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type refuses what it is given")
    }
}

impl std::error::Error for Unsound {}

impl de::Error for Unsound {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Unsound
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr, $name:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsound> {
            self.shape.push_str($name);
            visitor.$visit($value)
        }
    )*};
}

impl<'a> Tracer<'a> {
    /// The same for a while.
    fn again(&mut self) -> Tracer<'_> {
        Tracer { shape: self.shape, depth: self.depth }
    }

    /// One for what the type holds.
    fn deeper(self) -> Result<Tracer<'a>, Unsound> {
        match self.depth < DEPTH_MAX {
            true => Ok(Tracer { depth: self.depth + 1, ..self }),
            false => {
                self.shape.push('…');
                Err(Unsound)
            }
        }
    }

    /// Elements between brackets, of which so many are followed.
    fn elements<'de, V: Visitor<'de>>(
        mut self,
        brackets: (&str, &str),
        names: &'static [&'static str],
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        self.shape.push_str(brackets.0);
        let visited = visitor.visit_seq(Elements { tracer: self.again(), names, count, next: 0 });
        self.shape.push_str(brackets.1);
        visited
    }
}

struct Elements<'a> {
    tracer: Tracer<'a>,
    names: &'static [&'static str],
    count: usize,
    next: usize,
}

impl Elements<'_> {
    fn begin(&mut self) {
        if self.next > 0 {
            self.tracer.shape.push(',');
        }
        if let Some(name) = self.names.get(self.next) {
            let _ = write!(self.tracer.shape, "{name}:");
        }
        self.next += 1;
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Unsound;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unsound> {
        if self.next == self.count {
            return Ok(None);
        }
        self.begin();
        seed.deserialize(self.tracer.again().deeper()?).map(Some)
    }
}

struct Entry<'a> {
    tracer: Tracer<'a>,
    told: bool,
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Unsound;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unsound> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(None);
        }
        seed.deserialize(self.tracer.again().deeper()?).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unsound> {
        self.tracer.shape.push(':');
        seed.deserialize(self.tracer.again().deeper()?)
    }
}

struct FirstVariant<'a> {
    tracer: Tracer<'a>,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for FirstVariant<'a> {
    type Error = Unsound;
    type Variant = Tracer<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Tracer<'a>), Unsound> {
        let name = StrDeserializer::<Unsound>::new(self.name);
        Ok((seed.deserialize(name)?, self.tracer))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = Unsound;

    fn unit_variant(self) -> Result<(), Unsound> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        mut self,
        seed: S,
    ) -> Result<S::Value, Unsound> {
        self.shape.push('(');
        let value = seed.deserialize(self.again().deeper()?);
        self.shape.push(')');
        value
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unsound> {
        self.elements(("(", ")"), &[], len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        self.elements(("{", "}"), fields, fields.len(), visitor)
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Unsound;

    plain! {
        deserialize_bool visit_bool false, "bool";
        deserialize_i8 visit_i8 0, "i8";
        deserialize_i16 visit_i16 0, "i16";
        deserialize_i32 visit_i32 0, "i32";
        deserialize_i64 visit_i64 0, "i64";
        deserialize_i128 visit_i128 0, "i128";
        deserialize_u8 visit_u8 0, "u8";
        deserialize_u16 visit_u16 0, "u16";
        deserialize_u32 visit_u32 0, "u32";
        deserialize_u64 visit_u64 0, "u64";
        deserialize_u128 visit_u128 0, "u128";
        deserialize_f32 visit_f32 0.0, "f32";
        deserialize_f64 visit_f64 0.0, "f64";
        deserialize_char visit_char 'a', "char";
        deserialize_str visit_str "", "string";
        deserialize_string visit_str "", "string";
        deserialize_bytes visit_bytes &[], "bytes";
        deserialize_byte_buf visit_bytes &[], "bytes";
        deserialize_identifier visit_str "", "string";
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unsound> {
        self.shape.push_str("any");
        Err(Unsound)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsound> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Unsound> {
        self.shape.push('?');
        match self.again().deeper() {
            Ok(deeper) => visitor.visit_some(deeper),
            // A type that holds itself ends here.
            Err(_) => visitor.visit_none(),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsound> {
        self.shape.push_str("()");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        self.shape.push_str(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        let _ = write!(self.shape, "{name}(");
        let value = visitor.visit_newtype_struct(self.again().deeper()?);
        self.shape.push(')');
        value
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsound> {
        self.elements(("[", "]"), &[], 1, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        self.elements(("(", ")"), &[], len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        self.shape.push_str(name);
        self.elements(("(", ")"), &[], len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Unsound> {
        self.shape.push('{');
        let value = visitor.visit_map(Entry { tracer: self.again(), told: false });
        self.shape.push('}');
        value
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        self.shape.push_str(name);
        self.elements(("{", "}"), fields, fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unsound> {
        let _ = write!(self.shape, "{name}<{}>", variants.join("|"));
        let name = variants.first().ok_or(Unsound)?;
        visitor.visit_enum(FirstVariant { tracer: self.deeper()?, name })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Counted {
        word: String,
        count: u64,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    enum Either {
        Left(Counted),
        Right { at: i64 },
        Neither,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct List {
        next: Option<Box<List>>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Wrapped(u32);

    #[test]
    fn shapes_tell_names_fields_and_kinds() {
        assert_eq!(shape_of::<u64>(), "u64");
        assert_eq!(shape_of::<(String, Option<Wrapped>)>(), "(string,?Wrapped(u32))");
        assert_eq!(shape_of::<Counted>(), "Counted{word:string,count:u64}");
        assert_eq!(shape_of::<Vec<Counted>>(), "[Counted{word:string,count:u64}]");
        assert_eq!(shape_of::<BTreeMap<u8, char>>(), "{u8:char}");
        let either = "Either<Left|Right|Neither>(Counted{word:string,count:u64})";
        assert_eq!(shape_of::<Either>(), either);
        assert_eq!(shape_of::<bytes::Bytes>(), "bytes");
    }

    #[test]
    fn a_type_that_holds_itself_has_a_shape_too() {
        let list = shape_of::<List>();
        assert!(list.starts_with("List{next:?List{next:?") && list.ends_with('}'), "{list}");
    }
}
