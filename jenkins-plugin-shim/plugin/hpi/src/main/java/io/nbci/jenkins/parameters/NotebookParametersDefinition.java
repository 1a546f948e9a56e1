package io.nbci.jenkins.parameters;

import hudson.Extension;
import hudson.model.Failure;
import hudson.model.Item;
import hudson.model.Job;
import hudson.model.ParameterDefinition;
import hudson.model.ParameterValue;
import hudson.model.SimpleParameterDefinition;
import hudson.util.FormValidation;
import io.nbci.jenkins.page.PageRecord;
import io.nbci.jenkins.page.Pages;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import jenkins.model.Jenkins;
import net.sf.json.JSONObject;
import org.jenkinsci.Symbol;
import org.kohsuke.stapler.AncestorInPath;
import org.kohsuke.stapler.DataBoundConstructor;
import org.kohsuke.stapler.DataBoundSetter;
import org.kohsuke.stapler.QueryParameter;
import org.kohsuke.stapler.Stapler;
import org.kohsuke.stapler.StaplerRequest2;
import org.kohsuke.stapler.verb.POST;

/**
 * Asks whoever starts a build for what the pipeline asks for, without saying it again in the job.
 *
 * <p>Which parameters there are is what the newest build has told that says so. The job is that of
 * the request: a definition does not know to which one it belongs.
 */
public class NotebookParametersDefinition extends SimpleParameterDefinition {
  private static final long serialVersionUID = 1L;

  private String target;

  @DataBoundConstructor
  public NotebookParametersDefinition(String name) {
    super(name);
  }

  /** The pipeline whose parameters are meant; empty: that of the newest build. */
  public String getTarget() {
    return target == null ? "" : target;
  }

  /** Sets the pipeline, where builds of the job run several. */
  @DataBoundSetter
  public void setTarget(String target) {
    this.target = target == null ? "" : target.strip();
  }

  /** For the form; empty before a build has told which there are. */
  public List<ParameterField> getFields() {
    return parametersOf(Stapler.getCurrentRequest2()).fields();
  }

  @Override
  public ParameterValue createValue(StaplerRequest2 request, JSONObject json) {
    Map<String, Object> submitted = new LinkedHashMap<>();
    for (Iterator<?> keys = json.keys(); keys.hasNext(); ) {
      String key = keys.next().toString();
      submitted.put(key, json.get(key));
    }
    return value(parametersOf(request), () -> SubmittedValues.read(submitted));
  }

  /** From a script, the command line or another job: lines, or an object of JSON. */
  @Override
  public ParameterValue createValue(String text) {
    PipelineParameters parameters = parametersOf(Stapler.getCurrentRequest2());
    return value(parameters, () -> ParameterText.parse(text));
  }

  /** Nothing to say, so that the pipeline's own defaults count. */
  @Override
  public ParameterValue getDefaultParameterValue() {
    return new NotebookParametersValue(getName(), Map.of());
  }

  private ParameterValue value(
      PipelineParameters parameters, Supplier<Map<String, String>> given) {
    try {
      return new NotebookParametersValue(getName(), parameters.accept(given.get()));
    } catch (IllegalArgumentException e) {
      // of this one, Jenkins shows the sentence, and answers that the request was wrong
      throw new Failure(e.getMessage());
    }
  }

  private PipelineParameters parametersOf(StaplerRequest2 request) {
    // a build that another job starts has no request, and one of the command line has no job in it
    Job<?, ?> job = request == null ? null : request.findAncestorObject(Job.class);
    if (job == null) {
      return new PipelineParameters(List.of());
    }
    return new PipelineParameters(
        Pages.newestWithParameters(job, getTarget()).map(PageRecord::parameters).orElse(List.of()));
  }

  /** The kind of parameter, in the list of "Add parameter". */
  @Extension
  @Symbol("nbciParameters")
  public static class DescriptorImpl extends ParameterDefinition.ParameterDescriptor {
    @Override
    public String getDisplayName() {
      return Messages.NotebookParametersDefinition_displayName();
    }

    @POST
    public FormValidation doCheckName(@AncestorInPath Item item, @QueryParameter String value) {
      if (item == null) {
        Jenkins.get().checkPermission(Jenkins.ADMINISTER);
      } else {
        item.checkPermission(Item.CONFIGURE);
      }
      return value == null || value.isBlank()
          ? FormValidation.error(Messages.NotebookParametersDefinition_noName())
          : FormValidation.ok();
    }
  }
}
