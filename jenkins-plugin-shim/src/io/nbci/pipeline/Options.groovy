package io.nbci.pipeline

/** What the caller of `nbciPipeline` asked for; its help lists the options. */
class Options implements Serializable {
  def given           // what the caller wrote
  String target
  def parameters
  String command
  String label        // of the agents that plan and finish, and of stages that ask for none
  def labels          // label of a stage -> what it is called on this Jenkins
  def credentials     // name of a secret -> id of a credential, or a binding
  String reportName
  def lint
  def promote
  def prove           // label of the agent that proves the run; true: `label`
  def comment         // id of the credential for comments on pull requests
  boolean checkLabels
  def keepGoing       // null: as the pipeline says
  def sweep           // the name of a sweep of the pipeline file; true: the only one
  int parallel        // how many trials of it go on at once
  def deploy          // false: releases are not brought to the places that the pipeline file names
  def job             // the job that trains a model again whose monitor refused a window
  int askFor          // for how many hours a person may be asked
  def prepare         // the closure that readies a workspace
  String folder       // in each workspace; relative
  String stash        // the first part of the names of the stashes

  Options(Map given, Closure prepare) {
    this.given = given
    this.target = given.target.toString()
    this.parameters = given.parameters ?: [:]
    this.command = (given.command ?: 'nbci').toString()
    this.label = (given.label ?: '').toString()
    this.labels = given.labels ?: [:]
    this.credentials = given.credentials ?: [:]
    this.reportName = (given.reportName ?: 'Notebook report').toString()
    this.lint = given.lint
    this.promote = given.promote
    this.prove = given.prove
    this.comment = given.comment
    this.checkLabels = given.checkLabels != false
    this.keepGoing = given.keepGoing
    this.sweep = given.sweep
    this.parallel = given.parallel ? given.parallel.toString().toInteger() : 1
    this.deploy = given.deploy
    this.job = given.job
    this.askFor = given.askFor ? given.askFor.toString().toInteger() : 12
    this.prepare = prepare
    // two pipelines of one build have folders and stashes of their own
    def name = this.target.replaceAll('[^A-Za-z0-9.]+', '-')
    if (this.sweep) {
      name = name + '-' + this.sweep.toString().replaceAll('[^A-Za-z0-9.]+', '-')
    }
    this.folder = ".nbci/build/${name}".toString()
    this.stash = "nbci-${name}".toString()
  }

  /** The label of the agent that proves the run. */
  def proofLabel() {
    if (prove instanceof CharSequence) {
      return (labels[prove.toString()] ?: prove).toString()
    }
    return label
  }

  /** The label of the agent that a stage runs on. */
  def labelOf(PlannedStage stage) {
    return (labels[stage.label] ?: stage.label ?: label).toString()
  }
}
