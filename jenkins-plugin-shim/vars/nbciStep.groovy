/**
 * Runs a notebook, a script or a piece of code with nbci as one build step, inside `node`. A failure fails the build; the
 * report is published. See the help beside this file.
 */
def call(Map options) {
  def folder = '.nbci/build/step'
  def target = options.notebook
  dir(folder) { deleteDir() }
  writeFile file: folder + '/plan.txt', text: ''
  if (options.code != null) {
    target = folder + '/' + (options.name ?: 'code') + '.py'
    writeFile file: target, text: "# %%\n${options.code}\n", encoding: 'UTF-8'
  }
  if (!target) {
    error "nbciStep: say what to run, as in notebook: 'train.ipynb' or code: 'print(1)'"
  }
  def values = ["NBCI_COMMAND=${options.command ?: 'nbci'}".toString(), "NBCI_TARGET=${target}".toString(), "NBCI_BUILD=${folder}".toString()]
  def parameters = options.parameters ?: [:]
  for (name in parameters.keySet()) {
    values << "NBCI_PARAM_${name}=${parameters[name]}".toString()
  }
  values << "NBCI_KERNEL=${options.kernel ?: ''}".toString()
  def script = '''
    "$NBCI_COMMAND" plan "$NBCI_TARGET" ${NBCI_KERNEL:+--kernel "$NBCI_KERNEL"} --out "$NBCI_BUILD/plan.json" > "$NBCI_BUILD/plan.txt"
    "$NBCI_COMMAND" step --plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" || true
    "$NBCI_COMMAND" finish --plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" --out "$NBCI_BUILD/result"
  '''
  def status = 1
  withEnv(values) { status = sh(script: script, returnStatus: true, label: 'nbci') }
  def ending = nbci.publish(folder + '/result', (options.reportName ?: 'Notebook report').toString(), status)
  if (ending.result == 'unstable') {
    unstable ending.message
  } else if (ending.result == 'failure') {
    error ending.message
  }
}
