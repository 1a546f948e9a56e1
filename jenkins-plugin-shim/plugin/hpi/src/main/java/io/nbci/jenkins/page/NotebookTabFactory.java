package io.nbci.jenkins.page;

import hudson.Extension;
import hudson.model.Action;
import hudson.model.Run;
import java.util.Collection;
import java.util.List;
import jenkins.model.TransientActionFactory;

/**
 * Offers the tabs.
 *
 * <p>Jenkins leaves an optional extension out in silence when a class of its public methods cannot
 * be loaded: {@link #tabOf} keeps this one away from cores that have no tabs.
 */
@Extension(optional = true)
@SuppressWarnings("rawtypes")
public final class NotebookTabFactory extends TransientActionFactory<Run> {
  @Override
  public Class<Run> type() {
    return Run.class;
  }

  @Override
  public Class<? extends Action> actionType() {
    return NotebookTab.class;
  }

  @Override
  public Collection<? extends Action> createFor(Run run) {
    if (!NewBuildPage.isShown()) {
      return List.of();
    }
    return Pages.of((Run<?, ?>) run).stream().map(this::tabOf).toList();
  }

  public NotebookTab tabOf(NotebookPage page) {
    return new NotebookTab(page);
  }
}
