/**
 * The step of the machine-learning-plugin, run by nbci: jobs that were written for it run again, and code that raises
 * fails the build. See the help beside this file.
 */
def call(Map options) {
  def step = [name: (options.task ?: 'task').toString().replaceAll('[^A-Za-z0-9_-]+', '-').toLowerCase()]
  if (options.kernelName) {
    step.kernel = options.kernelName
  }
  if (options.command) {
    step.command = options.command
  }
  def asFile = options.parserType ? options.parserType.toString().toLowerCase() != 'text' : options.filePath && !options.code
  if (asFile && !options.filePath) {
    error "ipythonBuilder: parserType '${options.parserType}' takes a filePath: a notebook or a script"
  }
  if (asFile) {
    step.notebook = options.filePath
  } else {
    step.code = options.code ?: ''
  }
  nbciStep(step)
}
