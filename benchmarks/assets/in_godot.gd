# Prints what Godot 3 made of each GLB of its project: `godot3-server --path PROJECT --script in_godot.gd`.
extends SceneTree

func _init():
    var report = {}
    var dir = Directory.new()
    dir.open("res://")
    dir.list_dir_begin()
    var name = dir.get_next()
    while name != "":
        if name.ends_with(".glb"):
            var scene = load("res://" + name)
            var root = scene.instance() if scene else null
            report[name] = describe(root) if root else null
        name = dir.get_next()
    print("REPORT " + to_json(report))
    quit()

func describe(node):
    var found = {"name": node.name, "class": node.get_class(), "children": []}
    if node is MeshInstance:
        var box = node.get_aabb()
        found["low"] = [box.position.x, box.position.y, box.position.z]
        found["size"] = [box.size.x, box.size.y, box.size.z]
        var triangles = 0
        for surface in range(node.mesh.get_surface_count()):
            triangles += node.mesh.surface_get_arrays(surface)[Mesh.ARRAY_INDEX].size() / 3
        found["triangles"] = triangles
        var material = node.mesh.surface_get_material(0)
        found["texture"] = material.albedo_texture.get_width() if material and material.albedo_texture else 0
    if node is CollisionShape:
        found["shape"] = node.shape.get_class()
        if node.shape is ConvexPolygonShape:
            found["points"] = node.shape.points.size()
    if node is Spatial:
        found["scale"] = [node.scale.x, node.scale.y, node.scale.z]
    for child in node.get_children():
        found["children"].append(describe(child))
    return found
