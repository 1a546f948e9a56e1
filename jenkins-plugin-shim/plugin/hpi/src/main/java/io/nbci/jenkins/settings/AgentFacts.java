package io.nbci.jenkins.settings;

import hudson.util.FormValidation;
import java.util.List;
import java.util.stream.Collectors;

/** What {@code nbci about --json} says of an agent, bounded and free of control characters. */
public record AgentFacts(
    String nbci, String python, String platform, List<Kernel> kernels, List<String> gpus)
    implements AgentAnswer {
  private static final int KERNELS_SHOWN = 10;

  /** A Jupyter kernel; the name is what a notebook and a form say. */
  public record Kernel(String name, String displayName, String language) {}

  public AgentFacts {
    kernels = List.copyOf(kernels);
    gpus = List.copyOf(gpus);
  }

  /** An agent without a kernel cannot run a cell, so that is no good news. */
  @Override
  public FormValidation toFormValidation() {
    return kernels.isEmpty() ? FormValidation.warning(line()) : FormValidation.ok(line());
  }

  /** All of it in one line. */
  String line() {
    String machine = Messages.AgentFacts_machine(nbci, python, platform);
    return machine + "; " + kernelsText() + "; " + gpusText();
  }

  private String kernelsText() {
    if (kernels.isEmpty()) {
      return Messages.AgentFacts_noKernels();
    }
    String names =
        kernels.stream()
            .limit(KERNELS_SHOWN)
            .map(kernel -> kernel.name() + " (" + kernel.displayName() + ")")
            .collect(Collectors.joining(", "));
    String more = kernels.size() > KERNELS_SHOWN ? ", …" : "";
    return Messages.AgentFacts_kernels(names + more);
  }

  private String gpusText() {
    if (gpus.isEmpty()) {
      return Messages.AgentFacts_noGpus();
    }
    // machines have several of one kind
    String names =
        gpus.stream()
            .distinct()
            .map(name -> count(name) > 1 ? count(name) + " × " + name : name)
            .collect(Collectors.joining(", "));
    return Messages.AgentFacts_gpus(names);
  }

  private long count(String name) {
    return gpus.stream().filter(name::equals).count();
  }
}
