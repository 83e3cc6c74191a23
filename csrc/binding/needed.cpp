// Empty on purpose: see weft_needed in CMakeLists.txt.
