package io.nbci.jenkins.page;

import jenkins.model.Tab;

/**
 * A tab of Jenkins' new page of a build, for one of the build's pages.
 *
 * <p>Its address is that of the page, which answers there.
 */
public final class NotebookTab extends Tab {
  private final transient NotebookPage page;

  NotebookTab(NotebookPage page) {
    super(page.getRun());
    this.page = page;
  }

  public NotebookPage getPage() {
    return page;
  }

  @Override
  public String getIconFileName() {
    return NotebookPage.ICON;
  }

  @Override
  public String getDisplayName() {
    return page.getDisplayName();
  }

  @Override
  public String getUrlName() {
    return page.getUrlName();
  }
}
