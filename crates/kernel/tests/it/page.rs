//! Pages and their cursors.

use kernel::http::page::{Cursor, Page};

#[test]
fn a_page_knows_whether_there_is_more() {
    let page = Page::cut(vec![1, 2, 3], 2, |n| Cursor::of(&[&n.to_string()]));
    assert_eq!(page.items, [1, 2]);
    let next = Cursor::decode(page.next.as_deref()).unwrap().unwrap();
    assert_eq!(next.first_i64().unwrap(), 2);
    assert!(
        Page::cut(vec![1, 2], 2, |n| Cursor::of(&[&n.to_string()]))
            .next
            .is_none()
    );
}

#[test]
fn foreign_cursors_are_refused() {
    assert!(Cursor::decode(Some("§")).is_err());
    assert!(Cursor::decode(Some("AA")).is_err());
    assert!(Cursor::of(&["x"]).first_i64().is_err());
}
