{% macro schema_folder() %}
    {%- for row in run_query('describe schema ' ~ target.schema).rows
        if row[0] == 'Location' -%}
        {{ return(row[1]) }}
    {%- endfor -%}
{% endmacro %}
