{% macro built_before(name) %}
    {%- if execute and not flags.FULL_REFRESH -%}
        {{ return(adapter.get_relation(
            database=this.database, schema=this.schema, identifier=name
        )) }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}
