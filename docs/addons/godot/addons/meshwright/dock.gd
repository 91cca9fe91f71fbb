@tool
extends VBoxContainer
## The dock: a prompt, a preset, a seed; progress; cancel. It makes files, and says so; `plugin.gd` puts them into the scene.

const Client := preload("client.gd")
const Task := preload("task.gd")
## What the list shows, and the server's `for`.
const PRESETS := {"Godot, with collision shapes": "godot", "Web: few triangles": "web", "As the network makes it": ""}
const QUALITIES := {"Full": "", "Standard": "standard", "Draft": "draft"}

## A GLB was written.
signal made(path: String)
## The address or the token was edited.
signal server_changed

var folder := "res://meshwright"
var client := Client.new()
var address := LineEdit.new()
var token := LineEdit.new()
var prompt := TextEdit.new()
var preset := OptionButton.new()
var quality := OptionButton.new()
var seed_box := SpinBox.new()
var make := Button.new()
var cancel := Button.new()
var progress := ProgressBar.new()
var said := Label.new()
var _task: Task


func _init() -> void:
	name = "Meshwright"
	add_child(client)
	client.changed.connect(_show)
	prompt.placeholder_text = "a red chair with white legs"
	prompt.custom_minimum_size.y = 72
	prompt.wrap_mode = TextEdit.LINE_WRAPPING_BOUNDARY
	prompt.gui_input.connect(_on_key)
	add_child(prompt)
	_fill(preset, PRESETS)
	_fill(quality, QUALITIES)
	seed_box.max_value = 999999
	_row("For", preset)
	_row("Quality", quality)
	_row("Seed", seed_box)
	make.text = "Make"
	make.tooltip_text = "Ctrl+Enter"
	make.pressed.connect(start)
	cancel.text = "Cancel"
	cancel.pressed.connect(stop)
	progress.hide()
	cancel.hide()
	said.autowrap_mode = TextServer.AUTOWRAP_WORD_SMART
	for each: Control in [make, cancel, progress, said, HSeparator.new()]:
		add_child(each)
	address.text = client.address
	address.text_changed.connect(func(_text: String) -> void: server_changed.emit())
	token.secret = true
	token.placeholder_text = "none"
	token.text_changed.connect(func(_text: String) -> void: server_changed.emit())
	_row("Server", address)
	_row("Token", token)


## Make what the prompt says.
func start() -> void:
	if _task != null:
		return
	var words := prompt.text.strip_edges()
	if words == "":
		said.text = "Say what to make."
		return
	var options := {"prompt": words, "seed": int(seed_box.value)}
	for pair: Array in [["for", PRESETS.values()[preset.selected]], ["quality", QUALITIES.values()[quality.selected]]]:
		if pair[1] != "":
			options[pair[0]] = pair[1]
	client.address = address.text.strip_edges()
	client.token = token.text.strip_edges()
	_task = client.task(options)
	_show(_task)
	var path := await client.run(_task, folder)
	var task := _task
	_task = null
	_show(task)
	if path != "":
		said.text = "%s, %d KB" % [path, ceili(task.file_bytes / 1024.0)]
		made.emit(path)


## Cancel what is being made.
func stop() -> void:
	if _task != null:
		_task.cancel()
		said.text = "cancelling"


func _show(task: Task) -> void:
	make.visible = _task == null
	cancel.visible = _task != null
	progress.visible = _task != null
	progress.value = task.progress
	if task.error != "":
		said.text = task.error
	elif task.done and task.cancelled:
		said.text = "cancelled"
	else:
		said.text = task.text


func _on_key(event: InputEvent) -> void:
	if event is InputEventKey and event.pressed and event.keycode == KEY_ENTER and event.is_command_or_control_pressed():
		prompt.accept_event()
		start()


func _row(about: String, control: Control) -> void:
	var row := HBoxContainer.new()
	var label := Label.new()
	label.text = about
	label.custom_minimum_size.x = 64
	control.size_flags_horizontal = Control.SIZE_EXPAND_FILL
	row.add_child(label)
	row.add_child(control)
	add_child(row)


func _fill(list: OptionButton, entries: Dictionary) -> void:
	list.fit_to_longest_item = false
	list.clip_text = true
	for entry: String in entries:
		list.add_item(entry)
