{% macro model_named(name) %}
    {%- set models = graph.nodes.values()
        | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', name) | list -%}
    {%- if not models -%}
        {{ exceptions.raise_compiler_error(
            "'" ~ name ~ "' is no model; expected the name of a file in models/"
        ) }}
    {%- endif -%}
    {{ return(models[0]) }}
{% endmacro %}
