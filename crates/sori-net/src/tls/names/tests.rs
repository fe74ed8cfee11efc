use super::names_of;
