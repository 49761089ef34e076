"""Tree to program: libcst is lowered once into a small typed form that the engine walks; nothing after it sees syntax."""
