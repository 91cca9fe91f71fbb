@tool
extends EditorPlugin
## Puts the dock into the editor, and what it makes into the scene that is open.

const Dock := preload("dock.gd")
const Place := preload("place.gd")
## Seconds that the editor may take to import a file, before it is added as it is.
const IMPORT := 15.0
const ADDRESS := "meshwright/address"
const TOKEN := "meshwright/token"

var _dock: Dock


func _enter_tree() -> void:
	_dock = Dock.new()
	_dock.made.connect(_add)
	_dock.server_changed.connect(_keep)
	var settings := EditorInterface.get_editor_settings()  # the user's, not the project's: a token belongs into no repository
	if settings.has_setting(ADDRESS):
		_dock.address.text = settings.get_setting(ADDRESS)
	if settings.has_setting(TOKEN):
		_dock.token.text = settings.get_setting(TOKEN)
	add_control_to_dock(DOCK_SLOT_RIGHT_UL, _dock)


func _exit_tree() -> void:
	remove_control_from_docks(_dock)
	_dock.queue_free()


func _keep() -> void:
	var settings := EditorInterface.get_editor_settings()
	settings.set_setting(ADDRESS, _dock.address.text)
	settings.set_setting(TOKEN, _dock.token.text)


## Add the object in a file to the scene that is open, so that it can be undone.
func _add(path: String) -> void:
	var object := await _imported(path)
	var root := EditorInterface.get_edited_scene_root()
	if object == null:
		_dock.said.text += ". It cannot be read."
		return
	if root == null:
		_dock.said.text += ". No scene is open that it could be added to."
		object.free()
		return
	var actions := get_undo_redo()
	actions.create_action("Add %s" % object.name, UndoRedo.MERGE_DISABLE, root)
	actions.add_do_method(root, &"add_child", object, true)
	actions.add_do_method(self, &"_own", object, root)
	actions.add_do_reference(object)
	actions.add_undo_method(root, &"remove_child", object)
	actions.commit_action()
	var selection := EditorInterface.get_selection()
	selection.clear()
	selection.add_node(object)


func _own(object: Node, root: Node) -> void:
	Place.own(object, root)


## An instance of the file as the editor imports it; if it does not, the object itself.
func _imported(path: String) -> Node3D:
	EditorInterface.get_resource_filesystem().scan()
	var end := Time.get_ticks_msec() + IMPORT * 1000.0
	while Time.get_ticks_msec() < end:
		await get_tree().process_frame
		if ResourceLoader.exists(path, "PackedScene") and not EditorInterface.get_resource_filesystem().is_scanning():
			var scene := load(path) as PackedScene
			if scene != null:
				return scene.instantiate() as Node3D
	return Place.load_glb(path)
