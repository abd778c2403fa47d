{% macro built_before(name) %}
    {%- if execute -%}
        {%- do model_named(name) -%}
        {%- if not flags.FULL_REFRESH -%}
            {{ return(adapter.get_relation(
                database=this.database, schema=this.schema, identifier=name
            )) }}
        {%- endif -%}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}
