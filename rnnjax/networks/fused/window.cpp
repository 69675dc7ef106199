// Whole windows of recurrent cells for XLA's foreign-function interface, forward and backward, one run after another.
//
// All arrays are float32 and row-major. Letters: T steps, B streams, H units (a multiple of 16), G = gates * H.
// A leading axis of any array is that of the runs, of which each has its own kernel. An array that is absent has size 0.
#include <cstring>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRows = 8, kColumns = 3;  // of a vector; of a tile of a product, in vectors
#elif defined(__AVX__)
constexpr int kLanes = 8, kRows = 4, kColumns = 2;
#else
constexpr int kLanes = 4, kRows = 4, kColumns = 2;
#endif

typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef float Unaligned __attribute__((vector_size(kLanes * 4), aligned(4)));

static inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
static inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
static inline Vector fill(float x) { return x - Vector{}; }  // x + 0 is not x where x = -0: it would be added

// Products

// A[r, k] = values[r * row + k * step].
struct Strided {
  const float* values;
  long row, step;
  Strided below(long rows) const { return {values + rows * row, row, step}; }
};

// The first term of a product, of rows at a distance; nullptr for 0.
struct Start {
  const float* values;
  long row;
  Start at(long rows, long columns) const { return {values ? values + rows * row + columns : nullptr, row}; }
  Vector vector(long r, long v) const { return values ? load(values + r * row + v * kLanes) : Vector{}; }
};

// C[R, V vectors] = I[R, V vectors] + A[R, K] B[K, V vectors].
template <int R, int V>
static inline void tile(long K, Start I, Strided A, const float* B, long ldb, float* C, long ldc) {
  Vector sum[R][V];
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) sum[r][v] = I.vector(r, v);
  for (long k = 0; k < K; k++) {
    Vector b[V];
    for (int v = 0; v < V; v++) b[v] = load(B + k * ldb + v * kLanes);
    for (int r = 0; r < R; r++) {
      Vector a = fill(A.values[r * A.row + k * A.step]);
      for (int v = 0; v < V; v++) sum[r][v] += a * b[v];
    }
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) store(C + r * ldc + v * kLanes, sum[r][v]);
}

// A single row, as two sums over even and odd k that do not wait for each other.
template <int V>
static inline void single_row(long K, Start I, Strided A, const float* B, long ldb, float* C) {
  Vector even[V], odd[V] = {};
  for (int v = 0; v < V; v++) even[v] = I.vector(0, v);
  for (long k = 0; k < K; k += 2) {
    Vector a = fill(A.values[k * A.step]), b = fill(A.values[(k + 1) * A.step]);
    for (int v = 0; v < V; v++) {
      even[v] += a * load(B + k * ldb + v * kLanes);
      odd[v] += b * load(B + (k + 1) * ldb + v * kLanes);
    }
  }
  for (int v = 0; v < V; v++) store(C + v * kLanes, even[v] + odd[v]);
}

template <int V>
static void columns(long M, long K, Start I, Strided A, const float* B, long ldb, float* C, long ldc) {
  long m = 0;
  for (; m + kRows <= M; m += kRows) tile<kRows, V>(K, I.at(m, 0), A.below(m), B, ldb, C + m * ldc, ldc);
  for (; m + 2 <= M; m += 2) tile<2, V>(K, I.at(m, 0), A.below(m), B, ldb, C + m * ldc, ldc);
  for (; m < M; m++) tile<1, V>(K, I.at(m, 0), A.below(m), B, ldb, C + m * ldc, ldc);
}

// C[M, N] = I[M, N] + A[M, K] B[K, N]; N is a multiple of 16.
static void product(long M, long K, long N, Start I, Strided A, const float* B, long ldb, float* C, long ldc) {
  long n = 0;
  if (M == 1 && K % 2 == 0)
    for (; n + 4 * kLanes <= N; n += 4 * kLanes) single_row<4>(K, I.at(0, n), A, B + n, ldb, C + n);
  for (; n + kColumns * kLanes <= N; n += kColumns * kLanes)
    columns<kColumns>(M, K, I.at(0, n), A, B + n, ldb, C + n, ldc);
  if (n + 2 * kLanes <= N) columns<2>(M, K, I.at(0, n), A, B + n, ldb, C + n, ldc), n += 2 * kLanes;
  for (; n < N; n += kLanes) columns<1>(M, K, I.at(0, n), A, B + n, ldb, C + n, ldc);
}

// [R, C] -> [C, R], in squares of 16.
static void transpose(long R, long C, const float* in, float* out) {
  for (long i = 0; i < R; i += 16)
    for (long j = 0; j < C; j += 16)
      for (int x = 0; x < 16; x++)
        for (int y = 0; y < 16; y++) out[(j + x) * R + i + y] = in[(i + y) * C + j + x];
}

// Gates

// The rational approximation of tanh by XLA and Eigen; NaN stays NaN.
static inline Vector tanh(Vector x) {
  const Vector most = fill(7.90531110763549805f);
  x = x > most ? most : x;
  x = x < -most ? -most : x;
  const Vector s = x * x;
  Vector p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * s + -8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  Vector q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return x * p / q;
}
static inline Vector sigmoid(Vector x) { return 0.5f + 0.5f * tanh(0.5f * x); }
static inline Vector magnitude(Vector x) { return x < 0.0f ? -x : x; }

enum Kind { kTanh, kRelu, kSigmoid, kSoftsign, kIdentity, kGru, kLstm };

template <int K>
static inline Vector activate(Vector x) {
  if constexpr (K == kTanh) return tanh(x);
  if constexpr (K == kRelu) return x < 0.0f ? Vector{} : x;
  if constexpr (K == kSigmoid) return sigmoid(x);
  if constexpr (K == kSoftsign) return x / (1.0f + magnitude(x));
  return x;
}

// The derivative of an activation, from its value.
template <int K>
static inline Vector slope(Vector y) {
  if constexpr (K == kTanh) return 1.0f - y * y;
  if constexpr (K == kRelu) return y > 0.0f ? fill(1.0f) : Vector{};
  if constexpr (K == kSigmoid) return y * (1.0f - y);
  if constexpr (K == kSoftsign) return (1.0f - magnitude(y)) * (1.0f - magnitude(y));
  return fill(1.0f);
}

// One step of one stream. `r` is [G], but for a gru with u added; what the way back needs replaces it, of Elman cells h itself.
template <int K>
static inline void gate(long H, const float* u, const float* bias, const float* c0, const float* h0, float* r, float* c, float* h) {
  for (long i = 0; i < H; i += kLanes) {
    if constexpr (K == kLstm) {  // input, forget, new, output
      Vector enter = sigmoid(load(r + i)), forget = sigmoid(load(r + H + i));
      Vector fresh = tanh(load(r + 2 * H + i)), leave = sigmoid(load(r + 3 * H + i));
      store(r + i, enter), store(r + H + i, forget), store(r + 2 * H + i, fresh), store(r + 3 * H + i, leave);
      Vector state = forget * load(c0 + i) + enter * fresh;
      store(c + i, state), store(h + i, leave * tanh(state));
    } else if constexpr (K == kGru) {  // reset, update, new, and the recurrent input of new
      Vector reset = sigmoid(load(r + i) + load(u + i)), update = sigmoid(load(r + H + i) + load(u + H + i));
      Vector inner = load(r + 2 * H + i) + load(bias + i), fresh = tanh(load(u + 2 * H + i) + reset * inner);
      store(r + i, reset), store(r + H + i, update), store(r + 2 * H + i, fresh), store(r + 3 * H + i, inner);
      store(h + i, (1.0f - update) * fresh + update * load(h0 + i));
    } else {
      store(h + i, activate<K>(load(r + i)));
    }
  }
}

// The way back through one step: dc, dh [H] of the new state become those of the old one, but for the product.
template <int K>
static inline void gate_back(long H, const float* kept, const float* c0, const float* h0, const float* c, const float* h, const float* dh_out, float* dc, float* dh, float* du, float* dr) {
  for (long i = 0; i < H; i += kLanes) {
    const Vector d = load(dh + i) + load(dh_out + i);
    if constexpr (K == kLstm) {
      Vector enter = load(kept + i), forget = load(kept + H + i), fresh = load(kept + 2 * H + i), leave = load(kept + 3 * H + i);
      Vector out = tanh(load(c + i)), state = load(dc + i) + d * leave * (1.0f - out * out);
      store(du + i, state * fresh * enter * (1.0f - enter));
      store(du + H + i, state * load(c0 + i) * forget * (1.0f - forget));
      store(du + 2 * H + i, state * enter * (1.0f - fresh * fresh));
      store(du + 3 * H + i, d * out * leave * (1.0f - leave));
      store(dc + i, state * forget), store(dh + i, Vector{});
    } else if constexpr (K == kGru) {
      Vector reset = load(kept + i), update = load(kept + H + i), fresh = load(kept + 2 * H + i), inner = load(kept + 3 * H + i);
      Vector into = d * (1.0f - update) * (1.0f - fresh * fresh), of_reset = into * inner * reset * (1.0f - reset);
      Vector of_update = d * (load(h0 + i) - fresh) * update * (1.0f - update);
      store(du + i, of_reset), store(du + H + i, of_update), store(du + 2 * H + i, into);
      store(dr + i, of_reset), store(dr + H + i, of_update), store(dr + 2 * H + i, into * reset);
      store(dh + i, d * update);
    } else {
      store(du + i, d * slope<K>(load(h + i))), store(dh + i, Vector{});
    }
  }
}

template <int K> constexpr int kGates = K == kLstm ? 4 : K == kGru ? 3 : 1;
template <int K> constexpr int kStored = K == kLstm || K == kGru ? 4 : 0;  // blocks of H that the way forward keeps

// Windows

using Array = ffi::Buffer<ffi::F32>;
using Output = ffi::Result<Array>;

// The part of an array that belongs to one run; nullptr of an absent one.
template <class Buffer>
static auto of_run(Buffer& array, long run, long runs) -> decltype(array.typed_data()) {
  return array.element_count() ? array.typed_data() + run * (static_cast<long>(array.element_count()) / runs) : nullptr;
}

struct Shape {
  long runs, T, B, H;
};
static Shape shape_of(const Array& states) {  // [..., T, B, H]
  auto d = states.dimensions();
  const int n = d.size();
  Shape s{1, d[n - 3], d[n - 2], d[n - 1]};
  for (int i = 0; i < n - 3; i++) s.runs *= d[i];
  return s;
}

static thread_local std::vector<float> scratch;

static const float* scaled(long n, const float* values, const float* factors, float* out) {
  if (!factors) return values;
  for (long i = 0; i < n; i++) out[i] = values[i] * factors[i];
  return out;
}

template <int K>
static void forward(Shape s, const float* W, const float* bias, const float* u, const float* c0, const float* h0, const float* valid, const float* keep, float* c, float* h, float* stored) {
  const long G = kGates<K> * s.H, S = kStored<K> * s.H, n = s.B * s.H;
  scratch.resize(n);
  for (long t = 0; t < s.T; t++) {
    float* r = S ? stored : h;
    const Start first{K == kGru ? nullptr : u, G};
    product(s.B, s.H, G, first, {scaled(n, h0, keep, scratch.data()), s.H, 1}, W, G, r, S ? S : G);
    for (long b = 0; b < s.B; b++) {
      const long at = b * s.H;
      gate<K>(s.H, u + b * G, bias, c0 + at, h0 + at, r + b * (S ? S : G), c + at, h + at);
      if (valid && !valid[t * s.B + b]) {
        std::memcpy(h + at, h0 + at, s.H * sizeof(float));
        if (K == kLstm) std::memcpy(c + at, c0 + at, s.H * sizeof(float));
      }
    }
    c0 = c, h0 = h, c += K == kLstm ? n : 0, h += n, u += s.B * G, stored += s.B * S;
  }
}

template <int K>
static void backward(Shape s, const float* W, const float* c0, const float* h0, const float* valid, const float* keep, const float* c, const float* h, const float* stored, const float* dh_out, float* dW, float* dbias, float* du, float* dc, float* dh) {
  const long H = s.H, G = kGates<K> * H, S = kStored<K> * H, n = s.B * H;
  scratch.resize(H * G + s.T * n + n + (K == kGru ? s.T * s.B * G : 0));
  float *transposed = scratch.data(), *before = transposed + H * G, *through = before + s.T * n, *dr = through + n;
  if (K != kGru) dr = du;
  transpose(H, G, W, transposed);
  for (long t = s.T - 1; t >= 0; t--) {
    const float *old_c = t ? c + (t - 1) * n : c0, *old_h = t ? h + (t - 1) * n : h0;
    for (long b = 0; b < s.B; b++) {
      const long at = b * H, row = t * s.B + b;
      if (valid && !valid[row]) {
        std::memset(du + row * G, 0, G * sizeof(float)), std::memset(dr + row * G, 0, G * sizeof(float));
        for (long i = 0; i < H; i++) dh[at + i] += dh_out[t * n + at + i];
        continue;
      }
      gate_back<K>(H, stored + row * S, old_c + at, old_h + at, c + t * n + at, h + t * n + at, dh_out + t * n + at, dc + at, dh + at, du + row * G, dr + row * G);
    }
    const Strided d{dr + t * s.B * G, G, 1};
    if (keep) {
      product(s.B, G, H, {nullptr, 0}, d, transposed, H, through, H);
      for (long i = 0; i < n; i++) dh[i] += keep[i] * through[i];
    } else {
      product(s.B, G, H, {dh, H}, d, transposed, H, dh, H);
    }
    const float* read = scaled(n, old_h, keep, before + t * n);
    if (read == old_h) std::memcpy(before + t * n, old_h, n * sizeof(float));
  }
  product(H, s.T * s.B, G, {nullptr, 0}, {before, 1, H}, dr, G, dW, G);
  if (K == kGru) {
    std::memset(dbias, 0, H * sizeof(float));
    for (long row = 0; row < s.T * s.B; row++)
      for (long i = 0; i < H; i++) dbias[i] += dr[row * G + 2 * H + i];
  }
}

#define DISPATCH(kind, call)                                         \
  switch (kind) {                                                    \
    case kTanh: call(kTanh); break;                                  \
    case kRelu: call(kRelu); break;                                  \
    case kSigmoid: call(kSigmoid); break;                            \
    case kSoftsign: call(kSoftsign); break;                          \
    case kIdentity: call(kIdentity); break;                          \
    case kGru: call(kGru); break;                                    \
    case kLstm: call(kLstm); break;                                  \
    default: return ffi::Error::InvalidArgument("an unknown cell"); \
  }

static ffi::Error Forward(int64_t kind, Array W, Array bias, Array u, Array c0, Array h0, Array valid, Array keep, Output c, Output h, Output stored) {
  const Shape s = shape_of(*h);
  for (long k = 0; k < s.runs; k++) {
#define CALL(K)                                                                                                        \
  forward<K>(s, of_run(W, k, s.runs), of_run(bias, k, s.runs), of_run(u, k, s.runs), of_run(c0, k, s.runs),            \
             of_run(h0, k, s.runs), of_run(valid, k, s.runs), of_run(keep, k, s.runs), of_run(*c, k, s.runs),          \
             of_run(*h, k, s.runs), of_run(*stored, k, s.runs))
    DISPATCH(kind, CALL)
#undef CALL
  }
  return ffi::Error::Success();
}

static ffi::Error Backward(int64_t kind, Array W, Array c0, Array h0, Array valid, Array keep, Array c, Array h, Array stored, Array dh_out, Array dc_end, Output dW, Output dbias, Output du, Output dc, Output dh) {
  const Shape s = shape_of(h);
  std::memset(dh->typed_data(), 0, dh->size_bytes());
  if (dc_end.element_count()) std::memcpy(dc->typed_data(), dc_end.typed_data(), dc_end.size_bytes());
  for (long k = 0; k < s.runs; k++) {
#define CALL(K)                                                                                                        \
  backward<K>(s, of_run(W, k, s.runs), of_run(c0, k, s.runs), of_run(h0, k, s.runs), of_run(valid, k, s.runs),         \
              of_run(keep, k, s.runs), of_run(c, k, s.runs), of_run(h, k, s.runs), of_run(stored, k, s.runs),          \
              of_run(dh_out, k, s.runs), of_run(*dW, k, s.runs), of_run(*dbias, k, s.runs), of_run(*du, k, s.runs),    \
              of_run(*dc, k, s.runs), of_run(*dh, k, s.runs))
    DISPATCH(kind, CALL)
#undef CALL
  }
  return ffi::Error::Success();
}

#define IN .Arg<Array>()
#define OUT .Ret<Array>()
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnjax_forward, Forward,
                              ffi::Ffi::Bind().Attr<int64_t>("kind") IN IN IN IN IN IN IN OUT OUT OUT);
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnjax_backward, Backward,
                              ffi::Ffi::Bind().Attr<int64_t>("kind") IN IN IN IN IN IN IN IN IN IN OUT OUT OUT OUT OUT);
