/**
 * Runs a notebook or a pipeline file: a stage for each step, on the agent that its label asks for, started the moment
 * the steps before it are done. The body makes a workspace ready: it checks out the sources and sees that nbci is there.
 *
 * Written for the sandbox. What to run and how it ended is decided by nbci; this only carries it out.
 */
def call(Map options, Closure prepare) {
  if (!options.target) {
    error "nbciPipeline: say what to run, as in target: 'pipelines/digits.yaml'"
  }
  def run = [
    command: options.command ?: 'nbci',
    label: options.label ?: '',
    labels: options.labels ?: [:],
    prepare: prepare,
    names: [],      // of the steps, in the order of the plan
    steps: [:],     // name -> its index, its label, the names it waits for, and those that wait for it
    waiting: [:],   // name -> how many steps it still waits for
    stashed: [:],   // name -> true once its store can be fetched
  ]
  stage('plan') {
    inWorkspace(run, run.label) { plan(run, options) }
  }
  try {
    def ready = []
    for (name in run.names) {
      if (run.waiting[name] == 0) {
        ready << name
      }
    }
    runTogether(run, ready)
  } finally {
    stage('finish') {
      inWorkspace(run, run.label) { finish(run) }
    }
  }
}

def inWorkspace(Map run, String label, Closure body) {
  node(label) {
    def prepare = run.prepare
    prepare()
    // an earlier build may have left its own here
    sh 'rm -rf .nbci && mkdir -p .nbci/build/store'
    withEnv(["NBCI_COMMAND=${run.command}"]) { body() }
  }
}

def plan(Map run, Map options) {
  def values = ["NBCI_TARGET=${options.target}"]
  (options.parameters ?: [:]).each { name, value -> values << "NBCI_PARAM_${name}=${value}" }
  withEnv(values) {
    def script = '"$NBCI_COMMAND" plan "$NBCI_TARGET" --out .nbci/build/plan.json --format jenkins'
    readPlan(run, sh(script: script, returnStdout: true))
  }
  stash name: 'nbci-plan', includes: '.nbci/build/plan.json'
}

/** Fields separated by tabs: name, label, the steps before it by commas; the rest `nbci step` sees to itself. */
def readPlan(Map run, String text) {
  def lines = text.readLines()
  if (lines[0] != 'nbci-plan 1') {
    error "this library reads plans of format 'nbci-plan 1', and nbci wrote '${lines[0]}': let both be of one version"
  }
  for (int i = 1; i < lines.size(); i++) {
    def fields = lines[i].split('\t', -1)
    run.names << fields[0]
    run.steps[fields[0]] = [index: i, label: fields[1], after: fields[2].tokenize(','), next: []]
    run.waiting[fields[0]] = run.steps[fields[0]].after.size()
  }
  for (name in run.names) {
    for (before in run.steps[name].after) {
      run.steps[before].next << name
    }
  }
}

/** Runs steps that are ready and, in each one's branch, whatever becomes ready by it. */
def runTogether(Map run, List names) {
  if (names.size() == 1) {
    runOnFrom(run, names[0])
    return
  }
  def branches = [:]
  for (name in names) {
    def mine = name
    branches[mine] = { runOnFrom(run, mine) }
  }
  parallel branches
}

/** A loop, because a recursion for each step of a long chain overflows the stack when Jenkins saves the build. */
def runOnFrom(Map run, String first) {
  def ready = [first]
  while (ready.size() == 1) {
    def name = ready[0]
    stage(name) { runStep(run, name) }
    ready = []
    for (next in run.steps[name].next) {
      run.waiting[next] = run.waiting[next] - 1
      if (run.waiting[next] == 0) {
        ready << next
      }
    }
  }
  if (ready) {
    runTogether(run, ready)
  }
}

def runStep(Map run, String name) {
  def step = run.steps[name]
  inWorkspace(run, run.labels[step.label] ?: step.label ?: run.label) {
    fetch(run, step.after)
    def status = 1
    withEnv(["NBCI_STEP=${name}"]) {
      def script = '"$NBCI_COMMAND" step --plan .nbci/build/plan.json --store .nbci/build/store "$NBCI_STEP"'
      status = sh(script: script, returnStatus: true)
    }
    // the whole store: who fetches this has what the steps before it made, too; the record of a failure travels as well
    stash name: "nbci-${step.index}", includes: '.nbci/build/store/**', allowEmpty: true
    run.stashed[name] = true
    if (status != 0) {
      error "step ${name} ended with exit code ${status}"
    }
  }
}

def finish(Map run) {
  fetch(run, run.names)
  def script = '"$NBCI_COMMAND" finish --plan .nbci/build/plan.json --store .nbci/build/store'
  def status = sh(script: script, returnStatus: true)
  junit testResults: '.nbci/runs/*/report/junit.xml', allowEmptyResults: true, skipMarkingBuildUnstable: true
  archiveArtifacts artifacts: '.nbci/runs/*/report/**', allowEmptyArchive: true
  if (status == 3) {
    unstable 'a gate refused'
  } else if (status != 0) {
    error "the run ended with exit code ${status}"
  }
}

def fetch(Map run, List names) {
  unstash 'nbci-plan'
  for (int i = 0; i < names.size(); i++) {
    if (run.stashed[names[i]]) {
      unstash "nbci-${run.steps[names[i]].index}"
    }
  }
}
