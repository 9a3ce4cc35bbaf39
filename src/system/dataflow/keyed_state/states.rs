//! What a function keeps of a key under names of its own, each read and written by itself.

use super::{
    declared::{Declared, DeclaredState, StateKind, StateTtl, sealed::Sealed},
    encoding::{Encoding, Postcard},
    entries::Entries,
    written_key::verbatim,
};
use crate::system::dataflow::{
    data::Data,
    failure::{Failure, Result},
};
use std::marker::PhantomData;

/// One value of each key.
#[derive(Clone)]
pub struct ValueState<T, E = Postcard> {
    declared: Declared,
    encoding: E,
    of: PhantomData<fn() -> T>,
}

/// A list of each key, to which is added without reading it.
#[derive(Clone)]
pub struct ListState<T, E = Postcard> {
    declared: Declared,
    encoding: E,
    of: PhantomData<fn() -> T>,
}

/// A map of each key, of which entries are read and written one by one.
#[derive(Clone)]
pub struct MapState<K, V, E = Postcard, F = Postcard> {
    declared: Declared,
    keys: E,
    values: F,
    of: PhantomData<fn() -> (K, V)>,
}

/// One value of each key, made of all that was added.
#[derive(Clone)]
pub struct ReducingState<T, R, E = Postcard> {
    declared: Declared,
    reduce: R,
    encoding: E,
    of: PhantomData<fn() -> T>,
}

impl<T: Data> ValueState<T> {
    /// One of this name in its function, which declares it ([`Process::states`](crate::system::dataflow::Process::states)).
    pub fn new(name: &str) -> Self {
        ValueState { declared: Declared::new(name), encoding: Postcard, of: PhantomData }
    }
}

impl<T, E> ValueState<T, E> {
    /// The same, written another way.
    #[must_use]
    pub fn with_encoding<F: Encoding<T>>(self, encoding: F) -> ValueState<T, F> {
        ValueState { declared: self.declared, encoding, of: PhantomData }
    }
}

impl<T: Data> ListState<T> {
    /// One of this name in its function, which declares it ([`Process::states`](crate::system::dataflow::Process::states)).
    pub fn new(name: &str) -> Self {
        ListState { declared: Declared::new(name), encoding: Postcard, of: PhantomData }
    }
}

impl<T, E> ListState<T, E> {
    /// The same, with elements that are written another way.
    #[must_use]
    pub fn with_encoding<F: Encoding<T>>(self, encoding: F) -> ListState<T, F> {
        ListState { declared: self.declared, encoding, of: PhantomData }
    }
}

impl<K: Data, V: Data> MapState<K, V> {
    /// One of this name in its function, which declares it ([`Process::states`](crate::system::dataflow::Process::states)).
    pub fn new(name: &str) -> Self {
        let (keys, values) = (Postcard, Postcard);
        MapState { declared: Declared::new(name), keys, values, of: PhantomData }
    }
}

impl<K, V, E, F> MapState<K, V, E, F> {
    /// The same, with keys and values that are written another way. Equal keys are written equally.
    #[must_use]
    pub fn with_encodings<G: Encoding<K>, H: Encoding<V>>(
        self,
        keys: G,
        values: H,
    ) -> MapState<K, V, G, H> {
        MapState { declared: self.declared, keys, values, of: PhantomData }
    }
}

impl<T: Data, R: Fn(T, T) -> T> ReducingState<T, R> {
    /// One of this name in its function, which declares it ([`Process::states`](crate::system::dataflow::Process::states)).
    /// What is added second comes second into `reduce`.
    pub fn new(name: &str, reduce: R) -> Self {
        ReducingState { declared: Declared::new(name), reduce, encoding: Postcard, of: PhantomData }
    }
}

impl<T, R, E> ReducingState<T, R, E> {
    /// The same, written another way.
    #[must_use]
    pub fn with_encoding<F: Encoding<T>>(self, encoding: F) -> ReducingState<T, R, F> {
        let ReducingState { declared, reduce, of, .. } = self;
        ReducingState { declared, reduce, encoding, of }
    }
}

macro_rules! declared {
    ($([$($of:tt)*] [$($bound:tt)*] $state:ty, $kind:ident, |$this:ident| $form:expr;)*) => {$(
        impl<$($of)*> $state {
            /// The same with what dies by itself: each value, element or entry so long after it was written.
            #[must_use]
            pub fn with_ttl(mut self, ttl: StateTtl) -> Self {
                self.declared.ttl = Some(ttl);
                self
            }
        }

        impl<$($bound)*> DeclaredState for $state {}

        impl<$($bound)*> Sealed for $state {
            fn declared(&mut self) -> &mut Declared {
                &mut self.declared
            }

            fn kind(&self) -> StateKind {
                StateKind::$kind
            }

            fn form(&self) -> String {
                let $this = self;
                $form
            }
        }
    )*};
}

declared! {
    [T, E] [T, E: Encoding<T>] ValueState<T, E>, Value, |this| this.encoding.form();
    [T, E] [T, E: Encoding<T>] ListState<T, E>, List, |this| this.encoding.form();
    [K, V, E, F] [K, V, E: Encoding<K>, F: Encoding<V>] MapState<K, V, E, F>, Map,
        |this| format!("{} {}", this.keys.form(), this.values.form());
    [T, R, E] [T, R, E: Encoding<T>] ReducingState<T, R, E>, Reducing, |this| this.encoding.form();
}

macro_rules! opened {
    ($([$($of:tt)*] $state:ty => $view:ident;)*) => {$(
        impl<$($of)*> $state {
            pub(in crate::system::dataflow) fn open<'a>(
                &'a self,
                open: impl FnOnce(&Declared) -> Result<Entries<'a>>,
            ) -> Result<$view<'a, $state>> {
                Ok($view { entries: open(&self.declared)?, state: self })
            }
        }
    )*};
}

opened! {
    [T, E] ValueState<T, E> => Value;
    [T, E] ListState<T, E> => List;
    [K, V, E, F] MapState<K, V, E, F> => Map;
    [T, R, E] ReducingState<T, R, E> => Reducing;
}

/// The [`ValueState`] of a key.
pub struct Value<'a, S> {
    entries: Entries<'a>,
    state: &'a S,
}

/// The [`ListState`] of a key.
pub struct List<'a, S> {
    entries: Entries<'a>,
    state: &'a S,
}

/// The [`MapState`] of a key.
pub struct Map<'a, S> {
    entries: Entries<'a>,
    state: &'a S,
}

/// The [`ReducingState`] of a key.
pub struct Reducing<'a, S> {
    entries: Entries<'a>,
    state: &'a S,
}

/// A state's one entry.
fn only(_: &mut Vec<u8>) -> Result<()> {
    Ok(())
}

impl<T, E: Encoding<T>> Value<'_, ValueState<T, E>> {
    /// The value; `None` when there is none.
    ///
    /// # Errors
    /// Fails the task: it can't be read.
    pub fn get(&mut self) -> Result<Option<T>> {
        self.entries.get(only, |bytes| self.state.encoding.decode(bytes))
    }

    /// Sets it.
    ///
    /// # Errors
    /// Fails the task: it can't be written.
    pub fn set(&mut self, value: &T) -> Result<()> {
        self.entries.put(only, |into| self.state.encoding.encode(value, into))
    }

    /// Forgets it.
    ///
    /// # Errors
    /// Fails the task: what the disk says.
    pub fn clear(&mut self) -> Result<()> {
        self.entries.remove(only)
    }
}

impl<T, R: Fn(T, T) -> T, E: Encoding<T>> Reducing<'_, ReducingState<T, R, E>> {
    /// Adds a value.
    ///
    /// # Errors
    /// Fails the task: what is there can't be read, or its successor not be written.
    pub fn add(&mut self, value: T) -> Result<()> {
        let reduced = match self.get()? {
            None => value,
            Some(before) => (self.state.reduce)(before, value),
        };
        self.entries.put(only, |into| self.state.encoding.encode(&reduced, into))
    }

    /// What was made of all that was added; `None` when nothing was.
    ///
    /// # Errors
    /// Fails the task: it can't be read.
    pub fn get(&mut self) -> Result<Option<T>> {
        self.entries.get(only, |bytes| self.state.encoding.decode(bytes))
    }

    /// Forgets it.
    ///
    /// # Errors
    /// Fails the task: what the disk says.
    pub fn clear(&mut self) -> Result<()> {
        self.entries.remove(only)
    }
}

/// How many elements were added to a list since it was empty.
fn count(bytes: &[u8]) -> Result<u32> {
    let count = bytes.try_into().map(u32::from_be_bytes);
    count.map_err(|_| Failure::new("the length of a list takes four bytes"))
}

impl<T, E: Encoding<T>> List<'_, ListState<T, E>> {
    /// Adds an element behind the others.
    ///
    /// # Errors
    /// Fails the task: it can't be written, or more than 2^32 were added.
    pub fn add(&mut self, value: &T) -> Result<()> {
        let number = self.entries.get(only, count)?.unwrap_or(0);
        let next = number.checked_add(1).ok_or_else(|| Failure::new("a list is too long"))?;
        let element = verbatim(number.to_be_bytes());
        self.entries.put(element, |into| self.state.encoding.encode(value, into))?;
        self.entries.put(only, verbatim(next.to_be_bytes()))
    }

    /// All elements, in the order in which they were added.
    ///
    /// # Errors
    /// Fails the task: one can't be read.
    pub fn get(&mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.entries.each(|element, bytes| {
            if !element.is_empty() {
                all.push(self.state.encoding.decode(bytes)?);
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Forgets all.
    ///
    /// # Errors
    /// Fails the task: what the disk says.
    pub fn clear(&mut self) -> Result<()> {
        self.entries.clear()
    }
}

impl<K, V, E: Encoding<K>, F: Encoding<V>> Map<'_, MapState<K, V, E, F>> {
    /// The value of a key; `None` when there is none.
    ///
    /// # Errors
    /// Fails the task: it can't be read.
    pub fn get(&mut self, key: &K) -> Result<Option<V>> {
        let MapState { keys, values, .. } = self.state;
        self.entries.get(|into| keys.encode(key, into), |bytes| values.decode(bytes))
    }

    /// Sets it.
    ///
    /// # Errors
    /// Fails the task: it can't be written.
    pub fn insert(&mut self, key: &K, value: &V) -> Result<()> {
        let MapState { keys, values, .. } = self.state;
        self.entries.put(|into| keys.encode(key, into), |into| values.encode(value, into))
    }

    /// Forgets it, if it is there.
    ///
    /// # Errors
    /// Fails the task: what the disk says.
    pub fn remove(&mut self, key: &K) -> Result<()> {
        self.entries.remove(|into| self.state.keys.encode(key, into))
    }

    /// All keys and their values, in the order of how the keys are written.
    ///
    /// # Errors
    /// Fails the task: one can't be read.
    pub fn entries(&mut self) -> Result<Vec<(K, V)>> {
        let MapState { keys, values, .. } = self.state;
        let mut all = Vec::new();
        self.entries.each(|key, bytes| {
            all.push((keys.decode(key)?, values.decode(bytes)?));
            Ok(())
        })?;
        Ok(all)
    }

    /// Forgets all.
    ///
    /// # Errors
    /// Fails the task: what the disk says.
    pub fn clear(&mut self) -> Result<()> {
        self.entries.clear()
    }
}
