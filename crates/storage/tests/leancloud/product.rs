//! The product's own tables as clients see them.
