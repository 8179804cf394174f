import { losesNothing } from '../support/proved.js'

losesNothing('reuseport')
