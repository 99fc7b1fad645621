// The worker of stable-diffusion.cpp for one network of Stable Diffusion 1.5, whose weights are those of a folder of
// diffusers. It understands the commands of ../worker.py: time N, compare FILE, memory.
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "auto_encoder_kl.hpp"
#include "clip.hpp"
#include "unet.hpp"

using Words = std::map<std::string, std::string>;
using Reals = sd::Tensor<float>;
using Inputs = std::map<std::string, Reals>;
using Run = std::function<Reals(const Inputs &)>;

static Words parse(int count, char **given) {
  Words w;
  for (int i = 0; i < count; i++) {
    std::istringstream words(given[i]);
    for (std::string word; words >> word;) w[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  return w;
}

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double cpu() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + 1e-6 * (u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

// ==== weights, and files of tensors ==========================================================

static void require(bool fine, const std::string &what) {
  if (!fine) throw std::runtime_error(what);
}

// float32 beside our high, and the file's float16 beside our medium.
static void open(ModelLoader &loader, const Words &w, const std::string &file, const std::string &prefix) {
  std::string path = w.at("folder") + "/" + file;
  require(loader.init_from_file_and_convert_name(path, prefix, VERSION_SD1), "cannot read " + path);
  loader.set_wtype_override(w.at("precision") == "medium" ? GGML_TYPE_F16 : GGML_TYPE_F32);
}

template <typename Runner>
static void load(Runner &runner, ModelLoader &loader, const Words &w, const std::string &name) {
  std::map<std::string, ggml_tensor *> tensors;
  runner.set_flash_attention_enabled(w.at("variant").find("flash") != std::string::npos);
  runner.set_conv2d_direct_enabled(w.at("variant").find("direct") != std::string::npos);
  runner.alloc_params_buffer();
  runner.get_param_tensors(tensors, name);
  require(loader.load_tensors(tensors, {}, std::stoi(w.at("threads"))), "the weights of " + name + " do not fit");
}

// The tensors of a file in float32, whose sizes have the fastest first here.
static Inputs read(const std::string &path) {
  ModelLoader loader;
  require(loader.init_from_file(path), "cannot read " + path);
  Inputs out;
  for (auto &[name, t] : loader.get_tensor_storage_map())
    out.emplace(name, Reals(std::vector<int64_t>(t.ne, t.ne + t.n_dims)));
  auto place = [&](const TensorStorage &t, ggml_tensor **to) {
    static ggml_tensor one;
    one = {};
    one.type = GGML_TYPE_F32, one.data = out.at(t.name).data();
    one.nb[0] = sizeof(float);
    for (int i = 0; i < GGML_MAX_DIMS; i++) one.ne[i] = t.ne[i];
    for (int i = 1; i < GGML_MAX_DIMS; i++) one.nb[i] = one.nb[i - 1] * one.ne[i - 1];
    *to = &one;
    return true;
  };
  require(loader.load_tensors(place, 1), "cannot load " + path);
  return out;
}

// ==== networks ===============================================================================

static Run make_unet(const Words &w, ggml_backend_t backend, int threads) {
  ModelLoader loader;
  open(loader, w, "unet/diffusion_pytorch_model.safetensors", "unet.");
  const char *name = "model.diffusion_model";
  auto net = std::make_shared<UNetModelRunner>(backend, false, loader.get_tensor_storage_map(), name, VERSION_SD1);
  load(*net, loader, w, name);
  return [=](const Inputs &in) { return net->compute(threads, in.at("x"), in.at("t"), in.at("context")); };
}

static Run make_decode(const Words &w, ggml_backend_t backend, int threads) {
  ModelLoader loader;
  open(loader, w, "vae/diffusion_pytorch_model.safetensors", "vae.");
  const char *name = "first_stage_model";
  auto net = std::make_shared<AutoEncoderKL>(backend, false, loader.get_tensor_storage_map(), name, true, false,
                                             VERSION_SD1);
  load(*net, loader, w, name);
  return [=](const Inputs &in) { return net->_compute(threads, in.at("x"), true); };
}

static Run make_text(const Words &w, ggml_backend_t backend, int threads) {
  ModelLoader loader;
  open(loader, w, "text_encoder/model.safetensors", "te.");
  const char *name = "cond_stage_model.transformer.text_model";
  auto net = std::make_shared<CLIPTextModelRunner>(backend, false, loader.get_tensor_storage_map(), name);
  load(*net, loader, w, name);
  return [=](const Inputs &in) {
    const Reals &ids = in.at("x");
    sd::Tensor<int32_t> x(ids.shape(), std::vector<int32_t>(ids.values().begin(), ids.values().end()));
    return net->compute(threads, x, 0, nullptr, 0, false, -1);
  };
}

// ==== batches ================================================================================

static Reals row_of(const Reals &x, int64_t i) {
  std::vector<int64_t> shape = x.shape();
  const int64_t size = x.numel() / shape.back();
  shape.back() = 1;
  return Reals(shape, std::vector<float>(x.data() + i * size, x.data() + (i + 1) * size));
}

// One sample after another, as its pipeline calls its networks: some of them fail for a batch.
static Reals each(const Run &run, const Inputs &in) {
  std::vector<float> all;
  for (int64_t i = 0; i < in.at("x").shape().back(); i++) {
    Inputs row;
    for (auto &[name, x] : in)
      if (name != "out") row.emplace(name, row_of(x, i));
    Reals y = run(row);
    all.insert(all.end(), y.values().begin(), y.values().end());
  }
  const int64_t size = (int64_t)all.size();
  return Reals({ size }, std::move(all));
}

// ==== commands ===============================================================================

static std::string answer_time(const Run &run, const Inputs &in, int n) {
  std::ostringstream seconds, out;
  double began = now(), used = cpu();
  for (int i = 0; i < n; i++) {
    double start = now();
    each(run, in);
    seconds << (i ? "," : "") << now() - start;
  }
  out << "cpu=" << cpu() - used << " seconds=" << seconds.str() << " wall=" << now() - began;
  return out.str();
}

// The largest difference relative to the largest; NaN where there is one.
static std::string answer_compare(const Run &run, const Inputs &in) {
  Reals own = each(run, in);
  const Reals &ours = in.at("out");
  require(own.numel() == ours.numel(), "its output has another size");
  double off = 0, most = 0;
  for (int64_t i = 0; i < own.numel(); i++) {
    double gap = std::fabs((double)own.data()[i] - ours.data()[i]);
    if (!(gap <= off)) off = gap;
    most = std::max(most, std::fabs((double)own.data()[i]));
  }
  std::ostringstream out;
  out << "gradients=0 outputs=" << off / most;
  return out.str();
}

static std::string answer_memory() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return "imported=0 peak=" + std::to_string(u.ru_maxrss * 1024LL);
}

static void log(sd_log_level_t level, const char *text, void *) {
  if (level >= SD_LOG_WARN) std::cerr << text;
}

static int work(const Words &w) {
  const std::map<std::string, Run (*)(const Words &, ggml_backend_t, int)> makers = {
    { "unet", make_unet }, { "decode", make_decode }, { "text", make_text } };
  Run run = makers.at(w.at("part"))(w, ggml_backend_cpu_init(), std::stoi(w.at("threads")));
  Inputs in;
  std::string command, argument;
  while (std::cin >> command) {
    if (command != "memory") std::cin >> argument;
    if (command == "compare") in = read(argument);
    std::cout << (command == "time"      ? answer_time(run, in, std::stoi(argument))
                  : command == "compare" ? answer_compare(run, in)
                                         : answer_memory())
              << std::endl;
  }
  return 0;
}

int main(int count, char **given) {
  sd_set_log_callback(log, nullptr);
  sd_set_progress_callback([](int, int, float, void *) {}, nullptr); // it prints otherwise
  try {
    return work(parse(count - 1, given + 1));
  } catch (const std::exception &e) {
    std::cerr << e.what() << std::endl;
    return 1;
  }
}
