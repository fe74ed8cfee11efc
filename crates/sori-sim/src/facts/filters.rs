//! Topic filters, section 4.7 of the standard, written down a second time.

/// The share name and the filter behind it. [MQTT-4.8.2-1]
pub(crate) fn split_share(filter: &str) -> (Option<String>, String) {
    match filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        Some((name, inner)) => (Some(name.to_owned()), inner.to_owned()),
        None => (None, filter.to_owned()),
    }
}

/// Section 4.7, written down a second time and as plainly as can be.
pub(crate) fn filter_matches(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]
    if topic.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+')) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    levels_match(&filter, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.split_first(), topic.split_first()) {
        (Some((&"#", _)), _) => true,
        (Some((level, filter)), Some((name, topic))) => (*level == "+" || level == name) && levels_match(filter, topic),
        (None, None) => true,
        _ => false,
    }
}
