/**
 * The dashboard: a login, and behind it the views.
 */
import { render } from 'preact'
import { App } from './app.js'
import './style/base.css'
import './style/shell.css'
import './style/views.css'
import './style/session.css'

const root = document.getElementById('app')
if (root) render(<App />, root)
