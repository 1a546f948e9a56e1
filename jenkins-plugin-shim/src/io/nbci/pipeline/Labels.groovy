package io.nbci.pipeline

/** Labels of agents, looked for before a build waits for them. */
class Labels implements Serializable {
  def script
  def options
  def plugins

  Labels(script, Options options, Plugins plugins) {
    this.script = script
    this.options = options
    this.plugins = plugins
  }

  /** The labels of the agents that stages run on. */
  def of(Stages stages) {
    def found = []
    for (number in stages.numbers) {
      found << options.labelOf(stages.byNumber[number])
    }
    return found.unique()
  }

  /**
   * Fails where no node carries one of these labels: Jenkins would wait for ever. The plugin
   * pipeline-utility-steps knows; without it nothing is refused.
   */
  def refuseUnknown(List labels) {
    if (!options.checkLabels) {
      return
    }
    plugins.whenInstalled(['nodesByLabel']) {
      for (label in labels) {
        if (label && script.nodesByLabel(label: label, offline: true).size() == 0) {
          script.error "no node carries the label '${label}': " +
            'say with labels: what it is called here, or let an agent carry it ' +
            '(checkLabels: false where agents are made when they are asked for)'
        }
      }
    }
  }
}
