package io.nbci.jenkins.page;

import jenkins.model.experimentalflags.UserExperimentalFlag;

/** Jenkins' new page of a build, which has tabs: on newer cores, for users who asked for it. */
final class NewBuildPage {
  private static final String FLAG =
      "jenkins.model.experimentalflags.NewBuildPageUserExperimentalFlag";
  private static final boolean IS_IN_CORE =
      isThere("jenkins/model/Tab.class") && isThere("lib/layout/run-subpage.jelly");

  private NewBuildPage() {}

  /** Whether the user who asks now sees it. */
  static boolean isShown() {
    return IS_IN_CORE && Flag.isOn();
  }

  private static boolean isThere(String resource) {
    return NewBuildPage.class.getClassLoader().getResource(resource) != null;
  }

  /** Apart, so that a core without flags never loads what it has not. */
  private static final class Flag {
    static boolean isOn() {
      Boolean flag = UserExperimentalFlag.getFlagValueForCurrentUser(FLAG);
      return Boolean.TRUE.equals(flag);
    }
  }
}
