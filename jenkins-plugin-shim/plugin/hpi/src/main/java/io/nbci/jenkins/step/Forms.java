package io.nbci.jenkins.step;

import hudson.model.Item;
import jenkins.model.Jenkins;

/** Who may ask what the form of the step asks. */
final class Forms {
  private Forms() {}

  /** Refuses whoever may not configure the job; outside of a job, who does not administer. */
  static void checkConfigure(Item item) {
    if (item == null) {
      // the Snippet Generator has no job where it is opened from a folder's or Jenkins' own page
      Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    } else {
      item.checkPermission(Item.CONFIGURE);
    }
  }
}
