//! Things by a small number, in pages: a page in which nothing is left gives its memory back, wherever it stands.
//!
//! ```text
//!   pages   [ 0 1 2 ... ][ (gone) ][ 2048 . 2050 . ... ]
//!                                          ▲ free numbers are taken again before there is another page
//! ```

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// So many things make a page.
const PAGE_LEN: usize = if cfg!(test) { 4 } else { 1024 };

#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Page<T>>,
    /// The pages that have room, each once.
    open: Vec<u32>,
}

#[derive(Debug)]
struct Page<T> {
    entries: Vec<T>,
    /// Places whose thing has gone.
    free: Vec<u16>,
    is_open: bool,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { pages: Vec::new(), open: Vec::new() }
    }
}

impl<T: Default> Slab<T> {
    /// How many things there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.pages.iter().map(|page| page.entries.len() - page.free.len()).sum()
    }

    /// Put `value` in; gives its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = self.open.last().copied().unwrap_or_else(|| self.add_page());
        let page = &mut self.pages[number as usize];
        let at = match page.free.pop() {
            Some(at) => {
                page.entries[usize::from(at)] = value;
                usize::from(at)
            }
            None => {
                page.entries.push(value);
                page.entries.len() - 1
            }
        };
        if page.free.is_empty() && page.entries.len() == PAGE_LEN {
            page.is_open = false;
            self.open.pop();
        }
        number * PAGE_LEN as u32 + at as u32
    }

    fn add_page(&mut self) -> u32 {
        let number = u32::try_from(self.pages.len()).expect("fewer than 2^32 things fit in memory");
        self.pages.push(Page { entries: Vec::new(), free: Vec::new(), is_open: true });
        self.open.push(number);
        number
    }

    /// Take out the thing that has this number, which is free then.
    pub(crate) fn remove(&mut self, number: u32) -> T {
        let (page_number, at) = place(number);
        let page = &mut self.pages[page_number];
        let value = core::mem::take(&mut page.entries[at]);
        page.free.push(at as u16);
        if page.free.len() == page.entries.len() {
            (page.entries, page.free) = (Vec::new(), Vec::new());
        }
        if !page.is_open {
            page.is_open = true;
            self.open.push(page_number as u32);
        }
        value
    }
}

impl<T> Slab<T> {
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (page, at) = place(number);
        self.pages.get(page)?.entries.get(at)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (page, at) = place(number);
        self.pages.get_mut(page)?.entries.get_mut(at)
    }
}

/// The page, and the place in it.
#[inline]
const fn place(number: u32) -> (usize, usize) {
    (number as usize / PAGE_LEN, number as usize % PAGE_LEN)
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: u32) -> &T {
        self.get(number).expect("it is there")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        self.get_mut(number).expect("it is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        /// Each thing keeps its number, no number is given twice, and pages are there for what there is.
        #[test]
        fn like_a_map(steps in prop::collection::vec(any::<(bool, u16)>(), 1..200)) {
            let (mut slab, mut model) = (Slab::default(), BTreeMap::new());
            for (inserts, value) in steps {
                if inserts {
                    let number = slab.insert(value);
                    prop_assert_eq!(model.insert(number, value), None);
                } else if let Some(&number) = model.keys().nth(usize::from(value) % model.len().max(1)) {
                    prop_assert_eq!(Some(slab.remove(number)), model.remove(&number));
                }
                for (number, value) in &model {
                    prop_assert_eq!(slab[*number], *value);
                }
                let used = |page: usize| model.keys().any(|number| place(*number).0 == page);
                for (number, page) in slab.pages.iter().enumerate() {
                    prop_assert_eq!(!used(number), page.entries.capacity() == 0);
                    prop_assert_eq!(page.is_open, slab.open.contains(&(number as u32)));
                }
            }
        }

        /// Numbers are used again: there are no more pages than the most that were needed, and one.
        #[test]
        fn numbers_are_used_again(rounds in 1..20_usize) {
            let mut slab = Slab::default();
            for _ in 0..rounds {
                let numbers: Vec<u32> = (0..10_u8).map(|value| slab.insert(value)).collect();
                for number in numbers {
                    slab.remove(number);
                }
            }
            prop_assert!(slab.pages.len() <= 4);
        }
    }
}
