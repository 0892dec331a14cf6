"""What the C++ of these kernels begins with: rows of 16 numbers on a CPU, single ones on a GPU.

A compiler for the CPU leaves such loops scalar, so rows are its vector type. Choices are made by
selection, never by a branch, and the exponential is a polynomial: a call of the library's would
take the row apart. It is 2^n · 2^f, with Taylor's polynomial of 2^f on -1/2 .. 1/2 (relative
error below 3e-7).
"""

LANES = """
#ifdef __CUDA_ARCH__
    typedef float Row;
    typedef int Whole;
    const int lanes = 1;
    auto load = [](const float* from) -> Row { return *from; };
    auto save = [](float* to, Row row) { *to = row; };
    auto total = [](Row row) -> float { return row; };
    auto largest = [](Row row) -> float { return row; };
    auto root = [](Row row) -> Row { return sqrtf(row); };
    auto power_of_e = [](Row row) -> Row { return expf(row); };
    auto logarithm = [](Row row) -> Row { return logf(row); };
    auto ramp = []() -> Row { return 0.0f; };
    auto gather = [](const float* from, Whole at) -> Row { return from[at]; };
#else
    typedef float Row __attribute__((ext_vector_type(16)));
    typedef int Whole __attribute__((ext_vector_type(16)));
    typedef Row Loose __attribute__((aligned(4)));
    const int lanes = 16;
    auto load = [](const float* from) -> Row { return *(const Loose*)from; };
    auto save = [](float* to, Row row) { *(Loose*)to = row; };
    auto total = [](Row row) -> float {
        auto eight = row.lo + row.hi;
        auto four = eight.lo + eight.hi;
        auto two = four.lo + four.hi;
        return two.x + two.y;
    };
    auto largest = [](Row row) -> float {
        auto eight = row.lo > row.hi ? row.lo : row.hi;
        auto four = eight.lo > eight.hi ? eight.lo : eight.hi;
        auto two = four.lo > four.hi ? four.lo : four.hi;
        return two.x > two.y ? two.x : two.y;
    };
    auto root = [](Row row) -> Row { return __builtin_elementwise_sqrt(row); };
    auto power_of_e = [](Row row) -> Row {
        Row x = row * 1.44269504f;
        x = x > -120.0f ? x : (Row)-120.0f;
        x = x < 120.0f ? x : (Row)120.0f;
        const Row shifted = x + 12582912.0f;  // rounds: the whole part is in the lowest bits
        const Whole n = (Whole)shifted - 0x4b400000;
        const Row f = x - (shifted - 12582912.0f);
        Row p = 0.00133335581f + f * 0.000154035304f;
        p = 0.00961812911f + f * p;
        p = 0.0555041087f + f * p;
        p = 0.240226507f + f * p;
        p = 0.693147181f + f * p;
        p = 1.0f + f * p;
        return (Row)((Whole)p + (n << 23));
    };
    auto logarithm = [](Row row) -> Row {
        Row found;
        for (int l = 0; l < 16; ++l) found[l] = logf(row[l]);
        return found;
    };
    auto ramp = []() -> Row {
        Row row;
        for (int l = 0; l < 16; ++l) row[l] = l;
        return row;
    };
    auto gather = [](const float* from, Whole at) -> Row {
        Row row;
        for (int l = 0; l < 16; ++l) row[l] = from[at[l]];
        return row;
    };
#endif
"""
