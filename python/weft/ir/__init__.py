"""The intermediate representation: types, nodes, builder, verifier, printer, interpreter, unparser."""
